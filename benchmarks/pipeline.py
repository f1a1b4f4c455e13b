"""Our pipeline: all windows of the topic in one run of the Dagster job, from the first fetch to the published copy."""

import os
import tempfile
from pathlib import Path

import dagster as dg

from aqi_dagster.definitions import defs
from aqi_dagster.partitions import range_tags
from aqi_dagster.pipeline.store import Store
from aqi_dagster.runs import use_dagster_home


def run(servers: str, topic: str, events_on_disk: bool = False) -> dict[str, int]:
    """Run the windows from ``AQI_FIRST_WINDOW`` to ``BENCH_LAST_WINDOW``; Dagster's events in memory or in SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            KAFKA_BOOTSTRAP_SERVERS=servers,
            KAFKA_TOPIC=topic,
            AQI_DATA_DIR=f"{folder}/data",
            DAGSTER_HOME=f"{folder}/dagster",
        )
        use_dagster_home()
        with dg.DagsterInstance.get() if events_on_disk else dg.DagsterInstance.ephemeral() as instance:
            defs().resolve_job_def("micro_batch").execute_in_process(
                run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
                instance=instance,
                tags=range_tags(os.environ["AQI_FIRST_WINDOW"], os.environ["BENCH_LAST_WINDOW"]),
            )
        with Store(Path(folder) / "data").reader() as connection:
            figures = connection.execute(
                """
                SELECT
                    (SELECT count(*) FROM readings),
                    (SELECT count(*) FROM anomalies),
                    (SELECT count(*) FROM regional_windows)
                """
            ).fetchall()[0]
    return dict(zip(["messages", "anomalies", "windows"], figures, strict=True))
