"""The health of the sensors of windows, judged and stored in order: each window's history is what was stored before."""

from collections.abc import Callable
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.pipeline.verdicts.health_rules import judge_health
from aqi_dagster.pipeline.verdicts.history import REMEMBERED
from aqi_dagster.pipeline.verdicts.hours import read_hours
from aqi_dagster.pipeline.verdicts.sensor_health import overwrite_health, read_history
from aqi_dagster.windows import WindowRange

WINDOWS_AT_ONCE = 8
"""Windows whose hours are read and whose health is written together: few, to be small; not one, to be fast."""


def judge_windows(
    writer: Writer, windows: WindowRange, first_window: datetime, region_of: Callable[[str], str | None]
) -> None:
    """Judge and store the health of the sensors in ``windows``; the caller has begun a transaction.

    Windows before ``first_window`` are no part of the history. A sensor whose ``region_of`` is None is not judged.
    """
    history = read_history(writer, windows.first, first_window)
    starts = list(windows)
    for begin in range(0, len(starts), WINDOWS_AT_ONCE):
        group = WindowRange.of(starts[begin : begin + WINDOWS_AT_ONCE])
        hours = read_hours(writer, group)
        tables = []
        for window in group:
            health = judge_health(window, hours, history, region_of)
            tables.append(health)
            history = _remember(history, health, window)
        overwrite_health(writer, group, pa.concat_tables(tables))


def _remember(history: pa.Table, health: pa.Table, window: datetime) -> pa.Table:
    """``history`` with the ``health`` of ``window``, and without what no later window looks back to."""
    is_recent = pc.greater(history["window_start"], pa.scalar(window - REMEMBERED, pa.timestamp("us")))
    return pa.concat_tables([history.filter(is_recent), health.select(history.column_names)])
