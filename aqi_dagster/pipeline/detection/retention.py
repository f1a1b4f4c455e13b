"""How long detector states are kept: of every window at first, later only those with which a week ends.

A state is only needed to score again from its window on. For the last weeks that may be any window; further back it
is a week's first one, from which the rest of the week is scored anew.
"""

from datetime import datetime, timedelta

from duckdb import DuckDBPyConnection

from aqi_dagster.errors import ThinnedStatesError
from aqi_dagster.pipeline.detection.detector_states import drop_all_but_weekly_states
from aqi_dagster.pipeline.store.outdated import first_window_to_run
from aqi_dagster.pipeline.store.sql import Writer, transaction
from aqi_dagster.pipeline.store.window_ledger import newest_scored, record_thinning, thinned_before
from aqi_dagster.windows import WindowRange, utc_now, week_start, window_key


def thin_states(writer: Writer, first_scored: datetime, keep: timedelta) -> int:
    """Drop the states of whole weeks that ended more than ``keep`` before the newest scored window, but each sensor's
    last one of each week; returns how many were dropped.

    ``first_scored``: the earliest window that was scored since the last call. The newest window is the newest with
    readings, and not later than now: neither a clock nor a reading that runs ahead decides this alone.
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
    """Raise :class:`ThinnedStatesError` if the states with which scoring would begin at ``start`` are not kept."""
    first = first_window_to_run(connection, start, first_window)
    if first != start:
        windows = WindowRange(first, start)
        raise ThinnedStatesError(
            f"Window {window_key(start)} is too long ago to begin with: only the detector states with which its week "
            f"began are still kept. Materialize the range from {windows}, or further, in one run.",
            windows,
        )
