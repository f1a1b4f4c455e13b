"""Our pipeline: all windows of the topic in one run of the Dagster job, from the first fetch to the published copy."""

import os
import tempfile
from pathlib import Path


def run(servers: str, topic: str) -> dict[str, int]:
    """Run the job from the first window to the newest one that the topic holds (``BENCH_LAST_WINDOW``)."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            KAFKA_BOOTSTRAP_SERVERS=servers,
            KAFKA_TOPIC=topic,
            AQI_DATA_DIR=f"{folder}/data",
            AQI_FIRST_WINDOW=os.environ["BENCH_FIRST_WINDOW"],
            DAGSTER_HOME=f"{folder}/dagster",
        )
        from aqi_dagster.pipeline.store import Store
        from aqi_dagster.runs import run_windows, use_dagster_home

        use_dagster_home()
        run_windows(os.environ["BENCH_FIRST_WINDOW"], os.environ["BENCH_LAST_WINDOW"])
        with Store(Path(folder) / "data").reader() as connection:
            figures = connection.execute(
                "SELECT (SELECT count(*) FROM readings), (SELECT count(*) FROM anomalies), (SELECT count(*) FROM "
                "regional_windows), (SELECT count(*) FROM regional_windows WHERE verdict = 'smoke')"
            ).fetchall()[0]
    return dict(zip(["messages", "anomalies", "windows", "smoke"], figures, strict=True))
