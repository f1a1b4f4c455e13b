"""Which sensors report, and which fell silent."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.sql import scalar

REMEMBERED = timedelta(days=1)
"""A sensor that reported in this time before a window is expected to report in it; later it counts as taken down."""


@dataclass(frozen=True)
class Reporting:
    """Sensors that reported in a window or since, and those that fell silent, with the time of their last reading."""

    reporting: int
    silent: dict[str, datetime]


def sensors_reporting(connection: DuckDBPyConnection, window: datetime) -> Reporting:
    """Which sensors reported in ``window`` (start) or since, and which only in :data:`REMEMBERED` before it."""
    return Reporting(
        scalar(connection, "SELECT count(*) FROM sensors WHERE last_reading >= ?", [window]),
        dict(
            connection.execute(
                "SELECT sensor, last_reading FROM sensors WHERE last_reading < ? AND last_reading >= ? "
                "ORDER BY last_reading, sensor",
                [window, window - REMEMBERED],
            ).fetchall()
        ),
    )
