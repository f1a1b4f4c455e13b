"""Real readings through the whole pipeline, from messages to regional windows, in one run and in many."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from aqi_dagster.feeds.feed import opened_feed
from aqi_dagster.pipeline.decoding.decode import decode
from aqi_dagster.pipeline.detection.anomalies import Thresholds, select_anomalies
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.detection.scoring import score_windows
from aqi_dagster.pipeline.health.judge_windows import judge_windows
from aqi_dagster.pipeline.readings.insert import ingest
from aqi_dagster.pipeline.regions.base import OneRegion
from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.pipeline.topic.batches import MESSAGES_SCHEMA
from aqi_dagster.pipeline.verdicts.classify_windows import classify_windows
from aqi_dagster.pipeline.verdicts.rule_sets import RULE_SETS
from aqi_dagster.windows import WindowRange
from tests.support.health import REGION_NAME, everywhere
from tests.support.lacking import lacking
from tests.support.messages import ALLOWANCE, at
from tests.support.places import SHARED
from tests.support.tables import rows

LEVEL_TOLERANCE = 5.01e-7
"""Expected levels have six decimals, and were rounded from sums that may differ in the last digit of a float."""

LONG = pytest.mark.long

SETS = [
    "case_golden_undecided_33282",
    *(
        pytest.param(name, marks=LONG)
        for name in [
            "capital_2024_faults",
            "capital_2024_quiet",
            "portland_2020_autumn",
            "portland_2020_native",
            "case_boulder_36_called_dead",
            "case_golden_false_smoke_from_failed_sensor",
            "case_golden_three_sensors_all_blamed",
            "case_marshall_fire_called_malfunction",
        ]
    ),
]


def shared_file(*parts: str) -> Path:
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(lacking(path))
    return path


def take_in_file(connection: Writer, path: Path) -> list[datetime]:
    """Take in the messages of a file as one chunk; returns the windows (starts) with readings."""
    now = at("2026-01-01")
    with opened_feed([path], now) as feed:
        keys, values = zip(*feed.messages(), strict=True)
    numbers = range(len(keys))
    messages = pa.table([[0] * len(keys), [*numbers], [*keys], [*values]], schema=MESSAGES_SCHEMA)
    ingest(connection, decode(messages, now, ALLOWANCE), generation=1, now=now)
    return [start for (start,) in rows(connection, "SELECT window_start FROM windows ORDER BY window_start")]


def run(connection: Writer, first_window: datetime, windows: WindowRange) -> None:
    """What the assets do for a range of windows, all sensors in one region."""
    judge_windows(connection, windows, first_window, everywhere, "regions")
    list(score_windows(connection, windows, first_window, DetectorParameters()))
    select_anomalies(connection, windows, Thresholds())
    classify_windows(connection, windows, OneRegion(REGION_NAME), rules=RULE_SETS["network"])


def results(connection: Writer, starts: Sequence[datetime]) -> list[dict[str, Any]]:
    """What the tables say of each window, in the words of what is expected."""
    verdicts = {
        start: others
        for start, *others in rows(
            connection, "SELECT window_start, verdict, level, healthy_sensors, broken_sensors FROM regional_windows"
        )
    }
    health: dict[datetime, list[tuple[Any, ...]]] = {start: [] for start in starts}
    query = "SELECT window_start, sensor, fault, unlike_neighbours, is_new, in_dispute, is_local FROM sensor_health"
    for start, *row in rows(connection, f"{query} ORDER BY window_start, sensor"):
        health[start].append(tuple(row))
    return [
        {
            "window_start": start.isoformat(),
            "verdict": verdicts.get(start, [None])[0],
            "told": verdicts.get(start),
            "faults": {sensor: fault for sensor, fault, *_ in health[start] if fault is not None},
            "unlike_neighbours": [sensor for sensor, _, unlike, *_ in health[start] if unlike],
            "new": [row[0] for row in health[start] if row[3]],
            "in_dispute": [row[0] for row in health[start] if row[4]],
            "local": [row[0] for row in health[start] if row[5]],
        }
        for start in starts
    ]


def as_told(golden: dict[str, Any]) -> dict[str, Any]:
    """An expected window as :func:`results` has it: level and healthy sensors only where there is a verdict."""
    level = golden.pop("level")
    healthy = golden.pop("healthy")
    near = level if level is None else pytest.approx(level, rel=0, abs=LEVEL_TOLERANCE)
    told = [golden["verdict"], near, healthy, [*golden["faults"]]]
    return {**golden, "told": None if golden["verdict"] is None else told}


@pytest.mark.parametrize("windows_of_a_run", [10_000, 3])
@pytest.mark.parametrize("name", SETS)
def test_every_window_is_classified_as_expected(connection: Writer, name: str, windows_of_a_run: int) -> None:
    golden = json.loads(shared_file("golden", f"network_{name}.json").read_text())
    folder = "cases" if name.startswith("case_") else ""
    starts = take_in_file(connection, shared_file("data", folder, f"{name.removeprefix('case_')}.ndjson.gz"))
    everything = [*WindowRange(starts[0], starts[-1])]
    for begin in range(0, len(everything), windows_of_a_run):
        run(connection, starts[0], WindowRange.of(everything[begin : begin + windows_of_a_run]))
    assert results(connection, starts) == [as_told(window) for window in golden]
