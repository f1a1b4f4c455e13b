"""Stored readings that no instrument can have reported."""

from duckdb import DuckDBPyConnection

from aqi_dagster.message_fields import MOST_MASS

_ABSURD = """
SELECT sensor, count(*)
FROM readings
WHERE
    pm25_cf1 NOT BETWEEN -$most AND $most
    OR pm25_cf1_b NOT BETWEEN -$most AND $most
    OR pm1_cf1 NOT BETWEEN -$most AND $most
    OR pm10_cf1 NOT BETWEEN -$most AND $most
    OR pm25_atm NOT BETWEEN -$most AND $most
GROUP BY sensor
ORDER BY sensor
"""


def absurd_readings(connection: DuckDBPyConnection) -> dict[str, int]:
    """How many stored readings of each sensor have a mass beyond what any instrument can report.

    Releases before 0.2 took them in; they distort scores and verdicts of their windows, and the health of sensors.
    """
    return dict(connection.execute(_ABSURD, {"most": MOST_MASS}).fetchall())
