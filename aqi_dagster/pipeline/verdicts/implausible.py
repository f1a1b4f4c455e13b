"""Stored readings that no instrument can have reported."""

from duckdb import DuckDBPyConnection

from aqi_dagster.message_fields import MOST_MASS


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
