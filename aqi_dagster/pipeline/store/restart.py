"""From which window a run has to begin, so that the detector states it builds on are there."""

from datetime import datetime

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.sql import scalar
from aqi_dagster.pipeline.store.window_ledger import thinned_before
from aqi_dagster.windows import week_start

_MISSING_STATES = """
WITH needed AS (
    SELECT sensor, max(window_start) AS window_start
    FROM scored_readings
    WHERE window_start >= $week AND window_start < $start
    GROUP BY sensor
), stored AS (
    SELECT sensor, window_start
    FROM detector_states
    WHERE window_start >= $week AND window_start < $start
)
SELECT count(*)
FROM needed ANTI JOIN stored USING (sensor, window_start)
"""


def first_window_to_run(connection: DuckDBPyConnection, start: datetime, first_window: datetime) -> datetime:
    """The window from which scoring has to begin in order to reach ``start``: itself, or the first one of its week.

    The detector states of every window are kept for some weeks, then only the last ones of each week. This looks up
    which states exist, because a wrong clock may have thinned out too many or too few.
    """
    before = thinned_before(connection)
    if before is None or start >= before:
        return start
    begin = max(week_start(start), first_window)
    missing = scalar(connection, _MISSING_STATES, {"week": begin, "start": start})
    return begin if missing else start
