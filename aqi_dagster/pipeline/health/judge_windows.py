"""The health of the sensors of windows, judged and stored in order: each window's history is what was stored before.

With it come the levels of regions, hour by hour.
"""

from collections.abc import Callable
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from duckdb import DuckDBPyConnection

from aqi_dagster.errors import UnjudgedWindowsError
from aqi_dagster.pipeline.health.health_rows import judge_health
from aqi_dagster.pipeline.health.health_table import (
    as_judged,
    drop_health_before,
    judged_as,
    overwrite_health,
    read_history,
    windows_without_health,
)
from aqi_dagster.pipeline.health.history import REMEMBERED
from aqi_dagster.pipeline.health.hours import read_hours
from aqi_dagster.pipeline.health.known_trouble import read_trouble
from aqi_dagster.pipeline.health.progress import HealthProgress
from aqi_dagster.pipeline.health.regional_hours import drop_hours_before, overwrite_regional_hours
from aqi_dagster.pipeline.store.sql import Writer, transaction
from aqi_dagster.pipeline.store.window_ledger import LOOK_BACK, forget_health_before, record_health
from aqi_dagster.progress import Progress, unwatched
from aqi_dagster.windows import WindowRange, window_key

EDITION = 1
"""Edition of the rules on health: one more with every release by which any readings come to another health.

The ledger notes it, so that what an earlier edition judged is named as outdated.
"""

WINDOWS_JUDGED = "windows whose sensors were judged"

RegionOf = Callable[[str], str | None]
"""Returns the region of a sensor; None where it is not known, or where the sensor is not to be judged."""


def judge_windows(
    writer: Writer,
    windows: WindowRange,
    first_window: datetime,
    region_of: RegionOf,
    regions_hash: str,
    progress: Progress = unwatched,
) -> None:
    """Judge and store the health of the sensors in ``windows``, some windows to a transaction.

    Windows before ``first_window`` are no part of the history; a range that begins with it drops the health that
    another first window left in them. A sensor whose ``region_of`` is None is not judged;
    ``regions_hash`` is that of the settings by which regions are found. Raises :class:`UnjudgedWindowsError` if the
    windows that these look back to hold readings, but no health, unless the last one of ``windows`` does not look back
    that far.
    """
    if windows.first == first_window:
        _drop_health_before(writer, first_window)
    has_history = _require_history(writer, windows, first_window)
    ledger = HealthProgress(writer, windows, first_window, regions_hash, has_history)
    trouble = read_trouble(writer)
    history = read_history(writer, windows.first, first_window)
    progress(WINDOWS_JUDGED, 0, len(windows))
    for group in ledger.groups(windows):
        hours, before = read_hours(writer, group), judged_as(writer, group)
        tables = []
        for window in group:
            health = judge_health(window, hours, history, region_of, trouble)
            tables.append(health)
            history = _remember(history, health, window)
            ledger.add(window, otherwise=not as_judged(health).equals(_of_window(before, window)))
        judged = pa.concat_tables(tables)
        with transaction(writer):
            overwrite_health(writer, group, judged)
            overwrite_regional_hours(writer, group, hours, judged)
            record_health(writer, ledger.take_added(), regions_hash)
        progress(WINDOWS_JUDGED, len(WindowRange(windows.first, group.last)), len(windows))


def _drop_health_before(writer: Writer, first_window: datetime) -> None:
    """Drop the health of windows before ``first_window``: nothing looks back to it any more."""
    with transaction(writer):
        drop_health_before(writer, first_window)
        drop_hours_before(writer, first_window)
        forget_health_before(writer, first_window)


def _of_window(table: pa.Table, window: datetime) -> pa.Table:
    return table.filter(pc.equal(table["window_start"], pa.scalar(window, pa.timestamp("us"))))


def _require_history(connection: DuckDBPyConnection, windows: WindowRange, first_window: datetime) -> bool:
    """Whether the windows that ``windows`` look back to were judged; an error if the last of them needs it."""
    missing = windows_without_health(connection, windows.first, first_window)
    if not missing:
        return True
    if windows.last - windows.first < LOOK_BACK:
        required = WindowRange(max(first_window, windows.first - LOOK_BACK), windows.last)
        raise UnjudgedWindowsError(
            f"The health of sensors in window {window_key(windows.first)} cannot be judged yet: {len(missing)} windows "
            f"of the 14 days before, from {window_key(missing[0])} on, hold readings but no health. Materialize the "
            f"range from {required} in one run.",
            required,
        )
    return False


def _remember(history: pa.Table, health: pa.Table, window: datetime) -> pa.Table:
    """``history`` with the ``health`` of ``window``, and without what no later window looks back to."""
    is_recent = pc.greater(history["window_start"], pa.scalar(window - REMEMBERED, pa.timestamp("us")))
    return pa.concat_tables([history.filter(is_recent), health.select(history.column_names)])
