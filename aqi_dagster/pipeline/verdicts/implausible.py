"""Sensors that are not to be believed: they repeat the very same value for hours, or read what no sensor can."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.decoding.fields import MOST_MASS
from aqi_dagster.pipeline.verdicts.aqi import MAX_PM25_CF1

STUCK_FOR = timedelta(hours=6)
"""Time after which the very same PM2.5 is no measurement: two decimals of it change even in the cleanest air."""

IMPOSSIBLE_FOR = timedelta(hours=2)
"""Time after which PM2.5 that no sensor can measure is more than a passing insect."""

_LONGEST_STRETCHES = """
WITH kept AS (
    SELECT window_start, sensor, created_at, pm25_cf1, pm25_cf1 NOT BETWEEN 0 AND $max AS impossible
    FROM readings
    WHERE window_start BETWEEN $first AND $last AND list_contains($windows, window_start) AND NOT repeated
), marked AS (
    SELECT
        *,
        pm25_cf1 IS DISTINCT FROM lag(pm25_cf1) OVER series AND NOT (
            impossible AND coalesce(lag(impossible) OVER series, false)
        ) AS begins
    FROM kept
    WINDOW series AS (PARTITION BY window_start, sensor ORDER BY created_at)
), numbered AS (
    SELECT *, count(*) FILTER (begins) OVER (PARTITION BY window_start, sensor ORDER BY created_at) AS number
    FROM marked
), stretches AS (
    SELECT
        window_start,
        sensor,
        impossible,
        arg_min(pm25_cf1, created_at) AS pm25,
        min(created_at) AS first,
        max(created_at) AS last
    FROM numbered
    GROUP BY window_start, sensor, number, impossible
)
SELECT window_start, sensor, impossible, pm25, first, last
FROM stretches
WHERE last - first >= CASE WHEN impossible THEN $impossible_for ELSE $stuck_for END
QUALIFY row_number() OVER (PARTITION BY window_start, sensor ORDER BY last - first DESC, first) = 1
ORDER BY window_start, sensor
"""


@dataclass(frozen=True)
class Implausible:
    """Readings of a sensor in a row that cannot be measurements: the same value, or values out of any range.

    ``first`` and ``last`` are their times, ``pm25`` is the first value (ug/m3).
    """

    window_start: datetime
    sensor: str
    impossible: bool
    pm25: float
    first: datetime
    last: datetime

    def __str__(self) -> str:
        pm25 = f"{self.pm25:.2f}" if abs(self.pm25) < MOST_MASS else f"{self.pm25:.1e}"
        fault = f"impossible values such as {pm25}" if self.impossible else f"the same {pm25}"
        return f"{self.sensor}: {fault} ug/m3 from {self.first:%H:%M} to {self.last:%H:%M}"


def implausible_sensors(connection: DuckDBPyConnection, windows: Sequence[datetime]) -> list[Implausible]:
    """The sensors that were stuck or read the impossible for hours of one of ``windows`` (starts, in order).

    Of each sensor and window the longest stretch.
    """
    rows = connection.execute(
        _LONGEST_STRETCHES,
        {
            "windows": list(windows),
            "first": windows[0],
            "last": windows[-1],
            "max": MAX_PM25_CF1,
            "impossible_for": IMPOSSIBLE_FOR,
            "stuck_for": STUCK_FOR,
        },
    ).fetchall()
    return [Implausible(*row) for row in rows]


def absurd_readings(connection: DuckDBPyConnection) -> dict[str, int]:
    """How many stored readings of each sensor are beyond what any instrument can report.

    Releases before 0.2 took them in; they distort scores and verdicts of their windows.
    """
    return dict(
        connection.execute(
            "SELECT sensor, count(*) FROM readings WHERE pm25_cf1 NOT BETWEEN -$most AND $most "
            "GROUP BY sensor ORDER BY sensor",
            {"most": MOST_MASS},
        ).fetchall()
    )
