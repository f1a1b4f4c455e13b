"""What of the results is missing or no longer what one pass over all readings would give, and the range that mends it.

All of it follows from the ledger of windows; ``first_window`` is always where scoring may begin at all.
"""

from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.window_ledger import thinned_before
from aqi_dagster.windows import WindowRange, week_start

_OUTDATED_SCORES = """
WITH bounds AS (
    SELECT min(window_start) AS first_scored, max(window_start) AS last_scored
    FROM windows
    WHERE scored IS NOT NULL AND window_start >= $first_window
), chain AS (
    SELECT
        window_start,
        readings - coalesce(scored, 0) AS late,
        coalesce(revision < max(revision) OVER (ORDER BY window_start), false) AS stale
    FROM windows, bounds
    WHERE window_start BETWEEN first_scored AND last_scored
)
SELECT
    coalesce(sum(late), 0),
    count(*) FILTER (stale),
    min(window_start) FILTER (stale OR late > 0),
    max(window_start)
FROM chain
"""

_UNSCORED = """
SELECT min(window_start), max(window_start), sum(readings)
FROM windows
WHERE
    scored IS NULL
    AND readings > 0
    AND window_start < $before
    AND window_start >= $first_window
    AND window_start > (
        SELECT min(window_start) FROM windows WHERE scored IS NOT NULL AND window_start >= $first_window
    )
"""


@dataclass(frozen=True)
class OutdatedScores:
    """Windows whose scores are not what one pass over all readings would give, and the range that mends them.

    ``late_readings`` came after their window was scored; ``stale_windows`` build on windows scored anew since.
    """

    late_readings: int
    stale_windows: int
    windows: WindowRange | None


@dataclass(frozen=True)
class OutdatedVerdicts:
    """How many windows have verdicts that do not follow from their present scores, and the range that mends them."""

    count: int
    windows: WindowRange | None


@dataclass(frozen=True)
class UnscoredReadings:
    """How many readings lie in windows that were never scored, and the range of these windows."""

    readings: int
    windows: WindowRange


def outdated_scores(connection: DuckDBPyConnection, first_window: datetime) -> OutdatedScores:
    """Late readings and stale windows between the first and the last scored window from ``first_window`` on.

    Readings of a window that was passed over count as late too.
    """
    ((late, stale, first, last),) = connection.execute(_OUTDATED_SCORES, {"first_window": first_window}).fetchall()
    if first is None:
        return OutdatedScores(0, 0, None)
    return OutdatedScores(late, stale, WindowRange(first_window_to_run(connection, first, first_window), last))


def outdated_verdicts(connection: DuckDBPyConnection, first_window: datetime) -> OutdatedVerdicts:
    """Windows from ``first_window`` on that were scored after they were last classified: their run died in between."""
    ((count, first, last),) = connection.execute(
        "SELECT count(*), min(window_start), max(window_start) FROM windows "
        "WHERE window_start >= ? AND scored > 0 AND classified IS DISTINCT FROM revision",
        [first_window],
    ).fetchall()
    if not count:
        return OutdatedVerdicts(0, None)
    return OutdatedVerdicts(count, WindowRange(first_window_to_run(connection, first, first_window), last))


def unscored_readings(
    connection: DuckDBPyConnection, before: datetime, first_window: datetime
) -> UnscoredReadings | None:
    """The gap before window ``before``: readings between the first scored window and it that were never scored."""
    ((first, last, readings),) = connection.execute(
        _UNSCORED, {"before": before, "first_window": first_window}
    ).fetchall()
    return None if first is None else UnscoredReadings(readings, WindowRange(first, last))


def first_window_to_run(connection: DuckDBPyConnection, start: datetime, first_window: datetime) -> datetime:
    """The window from which scoring has to begin in order to reach ``start``: itself, or the first one of its week.

    Detector states are kept of every window for some weeks, later only those with which a week ends.
    """
    before = thinned_before(connection)
    return max(week_start(start), first_window) if before is not None and start < before else start
