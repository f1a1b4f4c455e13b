"""The same work without Dagster: what its runs and events cost shows in the difference."""

import os
import tempfile
from pathlib import Path
from typing import Any

import aqi_dagster.pipeline.decoding.fast_path  # noqa: F401 (imported before the first fetch, as the others' imports are)
from aqi_dagster.definitions import resources
from aqi_dagster.pipeline.detection.anomalies import select_anomalies
from aqi_dagster.pipeline.detection.retention import thin_states
from aqi_dagster.pipeline.detection.scoring import score_windows
from aqi_dagster.pipeline.health.judge_windows import judge_windows
from aqi_dagster.pipeline.health.sensors_to_judge import regions_hash, sensors_to_judge
from aqi_dagster.pipeline.readings.pull import PullPolicy, pull
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.verdicts.classify_windows import classify_windows
from aqi_dagster.settings import load_settings
from aqi_dagster.windows import WindowRange, parse_key
from benchmarks.pipeline import results


def run(servers: str, topic: str, health: bool = True) -> dict[str, Any]:
    """Pull, judge, score, classify and publish the windows from ``AQI_FIRST_WINDOW`` to ``BENCH_LAST_WINDOW``.

    Without ``health`` that of the sensors is not judged.
    """
    os.environ.update(KAFKA_BOOTSTRAP_SERVERS=servers, KAFKA_TOPIC=topic)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        compute(store, os.environ["AQI_FIRST_WINDOW"], os.environ["BENCH_LAST_WINDOW"], health)
        return results(store)


def compute(store: Store, first: str, last: str, health: bool = True) -> None:
    """What a run of the micro-batch does, in the order of its steps; without ``health`` all but that of the sensors."""
    given: dict[str, Any] = resources(load_settings())
    windows, regions = WindowRange.of_keys(first, last), given["regions"].choice
    with store.exclusive() as connection:
        pull(connection, given["kafka"].reader, PullPolicy())
    if health:
        with store.exclusive() as connection:
            known = regions.regions(connection)
            region_of = sensors_to_judge(connection, known)
            judge_windows(connection, windows, parse_key(first), region_of, regions_hash(known))
    with store.exclusive() as connection:
        for _ in score_windows(connection, windows, parse_key(first), given["detector"].parameters):
            pass
        thin_states(connection, windows.first, given["detector"].states_kept)
    with store.exclusive() as connection:
        select_anomalies(connection, windows, given["thresholds"].thresholds)
    with store.exclusive() as connection:
        classify_windows(connection, windows, regions.regions(connection))
    store.publish()
