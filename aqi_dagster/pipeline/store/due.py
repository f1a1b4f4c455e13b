"""What the store lacks of the windows that have ended, and the ranges to run for it.

The store alone is asked: Dagster's records may know of windows that a store from a backup does not hold, and the other
way round.
"""

from datetime import datetime

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.restart import first_window_to_run
from aqi_dagster.pipeline.store.sql import scalar
from aqi_dagster.pipeline.store.window_ledger import LOOK_BACK
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange

MOST_WINDOWS = 200
"""Windows of one run: a reading of an old date may ask for years, which shall not hold up the newest window."""

_UNFINISHED = """
SELECT window_start
FROM windows
WHERE
    window_start BETWEEN $first AND $last
    AND (
        (coalesce(scored, 0) = 0 AND readings > 0)
        OR (scored IS NOT NULL AND classified IS NULL)
        OR (scored > 0 AND classified <> revision)
        OR classified_health IS DISTINCT FROM health_revision
        OR (readings > 0 AND health_readings IS NULL AND window_start >= $last - INTERVAL 21 DAYS)
    )
UNION
-- A window that looks back to windows which were never judged either can only be judged with all of the 21 days.
SELECT $last - INTERVAL 21 DAYS
FROM windows AS recent
JOIN windows AS earlier
    ON earlier.window_start >= recent.window_start - INTERVAL 14 DAYS
    AND earlier.window_start BETWEEN $first AND $last - INTERVAL 21 DAYS
WHERE
    recent.readings > 0
    AND recent.health_readings IS NULL
    AND recent.window_start BETWEEN $last - INTERVAL 21 DAYS AND $last
    AND earlier.readings > 0
    AND earlier.health_readings IS NULL
ORDER BY window_start
"""

_RECORDS_HEALTH = """
SELECT count(*)
FROM duckdb_columns()
WHERE table_name = 'windows' AND column_name = 'health_readings'
"""

_LAST_SCORED = """
SELECT max(window_start)
FROM windows
WHERE scored IS NOT NULL AND window_start BETWEEN $first AND $last
"""


def due_ranges(connection: DuckDBPyConnection | None, ended: WindowRange) -> list[WindowRange]:
    """The ranges of ``ended`` windows to run, in this order, each of at most :data:`MOST_WINDOWS`.

    The newest window is run together with the one before it, which takes in readings up to 12 hours late. Further all
    windows behind the last one that was scored, all that hold readings of which none was scored, all that were scored
    but not classified since, and those of the last 21 days whose sensors' health was never judged. Without a store,
    ``None``, all windows are lacking.
    """
    lacking = [*ended] if connection is None else _lacking(connection, ended)
    ranges: list[WindowRange] = []
    for start in sorted({*lacking, *[*ended][-2:]}):
        if ranges and start <= ranges[-1].last:
            continue
        if ranges and (start - ranges[-1].first) // WINDOW_LENGTH < MOST_WINDOWS:
            ranges[-1] = WindowRange(ranges[-1].first, start)
        else:
            begin = start if connection is None else first_window_to_run(connection, start, ended.first)
            ranges.append(WindowRange(max(begin, ranges[-1].last + WINDOW_LENGTH) if ranges else begin, start))
    return ranges


def _lacking(connection: DuckDBPyConnection, ended: WindowRange) -> list[datetime]:
    """The windows that are not finished, and all behind the last one that was scored, in order."""
    if not scalar(connection, _RECORDS_HEALTH):
        # An older release: the run brings its store up to date, and the tick after that sees what else it lacks.
        return [start for start in ended if start >= ended.last - LOOK_BACK]
    unfinished = [start for (start,) in connection.execute(_UNFINISHED, ended.bounds).fetchall()]
    ((last,),) = connection.execute(_LAST_SCORED, ended.bounds).fetchall()
    if last is None:
        return [*ended]
    return [start for start in unfinished if start <= last] + [start for start in ended if start > last]
