"""Anomalies: the scored readings above both thresholds. This module alone writes the table ``anomalies``."""

from dataclasses import dataclass
from datetime import datetime

from aqi_dagster import defaults
from aqi_dagster.pipeline.store.requirements import require_scored
from aqi_dagster.pipeline.store.sql import Writer, transaction
from aqi_dagster.pipeline.store.window_ledger import record_selection, settings_hash
from aqi_dagster.windows import WindowRange

_SELECT = """
INSERT INTO anomalies BY NAME
SELECT sensor, created_at, window_start, pm25_cf1, score
FROM scored_readings
WHERE window_start BETWEEN $first AND $last AND score > $score AND pm25_cf1 > $pm25
ORDER BY window_start, sensor, created_at
"""

# Anomalies before a later AQI_FIRST_WINDOW: scoring from it has dropped the scores that they were selected from.
_DROP_UNSCORED = """
DELETE FROM anomalies
WHERE window_start IN (SELECT window_start FROM windows WHERE scored IS NULL)
"""

_COUNT = """
SELECT window_start, count(*)
FROM anomalies
WHERE window_start BETWEEN $first AND $last
GROUP BY window_start
"""


@dataclass(frozen=True)
class Thresholds:
    """A scored reading is an anomaly if it exceeds both; the defaults are the notebook's.

    ``score`` is without unit (0 to 1), ``pm25`` in ug/m3.
    """

    score: float = defaults.SCORE_THRESHOLD
    pm25: float = defaults.PM25_THRESHOLD

    def hash(self) -> str:
        """SHA-256 of both thresholds, hexadecimal."""
        return settings_hash(self.score, self.pm25)


def select_anomalies(writer: Writer, windows: WindowRange, thresholds: Thresholds) -> dict[datetime, int]:
    """Overwrite the anomalies of ``windows`` in one transaction; returns their number by window (start).

    Raises :class:`UnscoredWindowsError` if one of the windows holds readings, but was never scored.
    """
    require_scored(writer, windows)
    with transaction(writer):
        writer.execute("DELETE FROM anomalies WHERE window_start BETWEEN $first AND $last", windows.bounds)
        writer.execute(_DROP_UNSCORED)
        writer.execute(_SELECT, {**windows.bounds, "score": thresholds.score, "pm25": thresholds.pm25})
        record_selection(writer, windows, thresholds.hash())
    counts = dict(writer.execute(_COUNT, windows.bounds).fetchall())
    return {start: counts.get(start, 0) for start in windows}
