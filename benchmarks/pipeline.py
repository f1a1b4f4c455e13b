"""Our pipeline: all windows of the topic in one run of the Dagster job, from the first fetch to the published copy."""

import os
import tempfile
from pathlib import Path
from typing import Any

import dagster as dg

from aqi_dagster.definitions import defs
from aqi_dagster.partitions import range_tags
from aqi_dagster.pipeline.store import Store
from aqi_dagster.runs import use_dagster_home


def run(servers: str, topic: str, events_on_disk: bool = False) -> dict[str, Any]:
    """Run the windows from ``AQI_FIRST_WINDOW`` to ``BENCH_LAST_WINDOW``; Dagster's events in memory or in SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(KAFKA_BOOTSTRAP_SERVERS=servers, KAFKA_TOPIC=topic, AQI_DATA_DIR=f"{folder}/data")
        os.environ["DAGSTER_HOME"] = f"{folder}/dagster"
        use_dagster_home()
        with dg.DagsterInstance.get() if events_on_disk else dg.DagsterInstance.ephemeral() as instance:
            seconds = materialize(instance, os.environ["AQI_FIRST_WINDOW"], os.environ["BENCH_LAST_WINDOW"])
        return {"work": seconds} | results(Store(Path(folder) / "data"))


def materialize(instance: dg.DagsterInstance, first: str, last: str) -> float:
    """Run the windows from key ``first`` to ``last``; seconds from the first step's start to the last one's end."""
    result = (
        defs()
        .resolve_job_def("micro_batch")
        .execute_in_process(
            run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
            instance=instance,
            tags=range_tags(first, last),
        )
    )
    steps = instance.get_run_step_stats(result.run_id)
    return max(step.end_time for step in steps) - min(step.start_time for step in steps)


def results(store: Store) -> dict[str, Any]:
    """What the published copy holds."""
    with store.reader() as connection:
        (counts,) = connection.execute(
            "SELECT (SELECT count(*) FROM readings), (SELECT count(*) FROM anomalies)"
        ).fetchall()
        windows = connection.execute(
            "SELECT window_start::VARCHAR, sensors, count_anomalies, max_pm25, verdict "
            "FROM regional_windows ORDER BY ALL"
        ).fetchall()
    return {"messages": counts[0], "anomalies": counts[1], "windows": len(windows), "verdicts": windows}
