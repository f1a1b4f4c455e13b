"""Our pipeline: all windows of the topic in one run of the Dagster job, on an instance with the shipped settings."""

import os
import tempfile
from pathlib import Path
from typing import Any

import dagster as dg

# What a run imports when it first needs it: the imports of all contestants are shown apart.
import matplotlib.figure  # noqa: F401

import aqi_dagster.pipeline.decoding.fast_path  # noqa: F401
from aqi_dagster.dagster_home import use_dagster_home
from aqi_dagster.definitions import defs
from aqi_dagster.partitions import range_tags
from aqi_dagster.pipeline.store.connections import Store


def run(servers: str, topic: str) -> dict[str, Any]:
    """Run the windows from ``AQI_FIRST_WINDOW`` to ``BENCH_LAST_WINDOW``."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(KAFKA_BOOTSTRAP_SERVERS=servers, KAFKA_TOPIC=topic, AQI_DATA_DIR=f"{folder}/data")
        os.environ["DAGSTER_HOME"] = f"{folder}/dagster"
        use_dagster_home()
        store = Store(Path(folder) / "data")
        with dg.DagsterInstance.get() as instance:
            times = materialize(instance, store, os.environ["AQI_FIRST_WINDOW"], os.environ["BENCH_LAST_WINDOW"])
        return times | results(store)


def materialize(instance: dg.DagsterInstance, store: Store, first: str, last: str) -> dict[str, float]:
    """Run the windows from key ``first`` to ``last``.

    Seconds from the start of the first step to the published copy (``work``), and to the end of the last step
    (``run``), which draws plots after that.
    """
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
    started = min(step.start_time for step in steps)
    # A file's status changes when it is renamed.
    published = store.published.stat().st_ctime
    return {"work": published - started, "run": max(step.end_time for step in steps) - started}


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
