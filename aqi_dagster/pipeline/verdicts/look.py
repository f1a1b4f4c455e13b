"""A look at the window that is still open: the air of each region now.

It reads what was pulled and writes ``conditions``, the open hours of ``regional_hours`` and what is to be told of now,
nothing that windows are made from: closed windows come to the same whether anybody looked or not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.detection.anomalies import Thresholds
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.health.present import Present, judge_present
from aqi_dagster.pipeline.health.regional_hours import overwrite_open_hours
from aqi_dagster.pipeline.health.sensors_to_judge import sensors_to_judge
from aqi_dagster.pipeline.regions.base import Regions
from aqi_dagster.pipeline.store.sql import Writer, scalar, transaction
from aqi_dagster.pipeline.verdicts.conditions import (
    Condition,
    condition,
    overwrite_conditions,
    read_conditions,
    silent,
)
from aqi_dagster.pipeline.verdicts.early_warning import moments_of
from aqi_dagster.pipeline.verdicts.mutes import muted_regions
from aqi_dagster.pipeline.verdicts.open_anomalies import find_open_anomalies, judge_by_anomalies
from aqi_dagster.pipeline.verdicts.outbox.queue import queue_due_moments, supersede_stale
from aqi_dagster.pipeline.verdicts.regional_window import Rules
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, window_start

_LAST_JUDGED = "SELECT max(window_start) FROM windows WHERE health_readings IS NOT NULL AND window_start < ?"


@dataclass(frozen=True)
class Judging:
    """By what a look judges: the settings by which windows are judged."""

    first_window: datetime
    regions: Regions
    rules: Rules
    parameters: DetectorParameters
    thresholds: Thresholds


def look(writer: Writer, as_of: datetime, judging: Judging) -> list[Condition]:
    """Judge each region at ``as_of`` (naive UTC), store its condition, and return all of them, in order of region.

    What is to be told of them is queued in the same transaction.
    """
    before = read_conditions(writer)
    presents, health = _judge(writer, as_of, judging, before)
    conditions = [condition(present, judging.rules.name, before.get(present.region)) for present in presents]
    gone = before.keys() - {present.region for present in presents}
    conditions = sorted([*conditions, *(silent(before[region], as_of) for region in gone)], key=lambda one: one.region)
    open_windows = _open_windows(writer, as_of)
    with transaction(writer):
        overwrite_conditions(writer, conditions)
        overwrite_open_hours(writer, open_windows, as_of, health)
        # What nobody could be told in time is told anew, of this moment.
        supersede_stale(writer, as_of)
        muted = muted_regions(writer, as_of)
        queue_due_moments(writer, lambda last: moments_of(conditions, last, muted))
    return conditions


def _judge(
    connection: DuckDBPyConnection, as_of: datetime, judging: Judging, before: Mapping[str, Condition]
) -> tuple[list[Present], pa.Table]:
    region_of = sensors_to_judge(connection, judging.regions)
    presents, health = judge_present(connection, as_of, judging.first_window, region_of)
    if not judging.rules.judges_all_sensors:
        anomalies = find_open_anomalies(connection, as_of, judging.first_window, judging.parameters, judging.thresholds)
        smoke_since = {region: one.since for region, one in before.items() if one.state == "smoke"}
        presents = judge_by_anomalies(presents, anomalies, region_of, smoke_since)
    return presents, health


def _open_windows(connection: DuckDBPyConnection, as_of: datetime) -> WindowRange:
    """The window at ``as_of``, and the one before it as long as it was not judged."""
    present = window_start(as_of)
    judged = scalar(connection, _LAST_JUDGED, [present])
    before = present - WINDOW_LENGTH
    return WindowRange(present if judged is not None and judged >= before else before, present)
