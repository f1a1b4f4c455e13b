"""How long detector states are kept: of every window at first, later only those with which a week ends.

A state is only needed to score again from its window on. For the last weeks that may be any window; further back it
is a week's first one, from which the rest of the week is scored anew.
"""

from datetime import datetime, timedelta

from duckdb import DuckDBPyConnection

from aqi_dagster.errors import ThinnedStatesError
from aqi_dagster.pipeline.store.sql import scalar, transaction
from aqi_dagster.windows import week_start, window_key


def thin_states(connection: DuckDBPyConnection, first_scored: datetime, keep: timedelta) -> int:
    """Drop the states of whole weeks that ended more than ``keep`` before the newest scored window, but each sensor's
    last one of each week; returns how many were dropped.

    ``first_scored``: the earliest window that was scored since the last call.
    """
    newest = scalar(connection, "SELECT max(window_start) FROM windows WHERE scored IS NOT NULL")
    if newest is None:
        return 0
    end = week_start(newest - keep)
    begin = min(week_start(first_scored), thinned_before(connection) or datetime.min)  # noqa: DTZ901 (naive UTC)
    if begin >= end:
        return 0
    span = {"begin": begin, "end": end}
    with transaction(connection):
        dropped: int = connection.execute(
            """
            DELETE FROM detector_states
            WHERE window_start >= $begin AND window_start < $end AND rowid NOT IN (
                SELECT arg_max(rowid, window_start)
                FROM detector_states
                WHERE window_start >= $begin AND window_start < $end
                GROUP BY sensor, time_bucket(INTERVAL 7 DAYS, window_start, TIMESTAMP '1970-01-05')
            )
            """,
            span,
        ).fetchall()[0][0]
        connection.execute("DELETE FROM thinned_states")
        connection.execute("INSERT INTO thinned_states VALUES (greatest(?, ?))", [end, thinned_before(connection)])
    return dropped


def thinned_before(connection: DuckDBPyConnection) -> datetime | None:
    """End of the weeks whose states were thinned out, or None."""
    rows = connection.execute("SELECT max(thinned_before) FROM thinned_states").fetchall()
    before: datetime | None = rows[0][0]
    return before


def startable(connection: DuckDBPyConnection, start: datetime, first_window: datetime) -> datetime:
    """The window from which scoring has to begin in order to reach ``start``: itself, or the first one of its week.

    ``first_window`` is where scoring may begin at all.
    """
    before = thinned_before(connection)
    return max(week_start(start), first_window) if before is not None and start < before else start


def require_startable(connection: DuckDBPyConnection, start: datetime, first_window: datetime) -> None:
    """Raise :class:`ThinnedStatesError` if scoring cannot begin with window ``start``."""
    first = startable(connection, start, first_window)
    if first != start:
        raise ThinnedStatesError(
            f"Window {window_key(start)} is too long ago to begin with: only the detector states with which its week "
            f"began are still kept. Materialize the range from {window_key(first)} to {window_key(start)}, or "
            "further, in one run."
        )
