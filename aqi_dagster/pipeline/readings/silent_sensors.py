"""Which sensors report, which fell silent, and which come under several texts."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from duckdb import DuckDBPyConnection

from aqi_dagster.sensors import devices

REMEMBERED = timedelta(days=1)
"""A sensor that reported in this time before a window is expected to report in it; later it counts as taken down."""


@dataclass(frozen=True)
class Reporting:
    """Sensors that reported in a window or since, and those that fell silent, with the time of their last reading."""

    reporting: int
    silent: dict[str, datetime]


def sensors_reporting(connection: DuckDBPyConnection, window: datetime) -> Reporting:
    """Which sensors reported in ``window`` (start) or since, and which only in :data:`REMEMBERED` before it.

    Texts of one device are one sensor, under the text that came last.
    """
    last = _last_readings(connection, window)
    newest = [max(texts, key=last.__getitem__) for texts in devices(last)]
    silent = sorted((last[sensor], sensor) for sensor in newest if last[sensor] < window)
    return Reporting(len(newest) - len(silent), {sensor: moment for moment, sensor in silent})


def texts_of_one_device(connection: DuckDBPyConnection, window: datetime) -> list[list[str]]:
    """The texts of each device that came under several in :data:`REMEMBERED` before ``window`` (start) or since."""
    return [texts for texts in devices(_last_readings(connection, window)) if len(texts) > 1]


def _last_readings(connection: DuckDBPyConnection, window: datetime) -> dict[str, datetime]:
    """Time of the last reading by sensor, in order of their texts; those that were taken down are left out."""
    rows = connection.execute(
        "SELECT sensor, last_reading FROM sensors WHERE last_reading >= ? ORDER BY sensor", [window - REMEMBERED]
    ).fetchall()
    return dict(rows)
