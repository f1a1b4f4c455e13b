"""How long detector states are kept: those of every window for some weeks, then only the last ones of each week.

A state serves only to score again from its window on. In the last weeks that may be any window; further back it is the
first window of a week, and the rest of that week is scored anew.
"""

from datetime import datetime, timedelta

from duckdb import DuckDBPyConnection

from aqi_dagster.errors import ThinnedStatesError
from aqi_dagster.pipeline.detection.detector_states import drop_all_but_weekly_states
from aqi_dagster.pipeline.store.restart import first_window_to_run
from aqi_dagster.pipeline.store.sql import Writer, transaction
from aqi_dagster.pipeline.store.window_ledger import newest_scored, record_thinning, thinned_before
from aqi_dagster.windows import WindowRange, utc_now, week_start, window_key


def thin_states(writer: Writer, first_scored: datetime, keep: timedelta) -> int:
    """Thin out the weeks that ended more than ``keep`` before the newest window: keep each sensor's last state of each.

    Returns how many states were dropped. ``first_scored`` is the earliest window that was scored since the last call.
    The newest window is the newest one with scored readings, or the present one if that is earlier: a wrong clock or
    a reading from the future cannot drop anything alone.
    """
    newest = newest_scored(writer)
    if newest is None:
        return 0
    end = week_start(min(newest, utc_now()) - keep)
    begin = min(week_start(first_scored), thinned_before(writer) or datetime.min)  # noqa: DTZ901 (naive UTC)
    if begin >= end:
        return 0
    with transaction(writer):
        dropped = drop_all_but_weekly_states(writer, begin, end)
        record_thinning(writer, end)
    return dropped


def require_states(connection: DuckDBPyConnection, start: datetime, first_window: datetime) -> None:
    """Raise :class:`ThinnedStatesError` if the states from which the window at ``start`` would be scored are gone."""
    first = first_window_to_run(connection, start, first_window)
    if first != start:
        windows = WindowRange(first, start)
        raise ThinnedStatesError(
            f"Window {window_key(start)} is too long ago to begin with: only the detector states with which its week "
            f"began are still kept. Materialize the range from {windows}, or further, in one run.",
            windows,
        )
