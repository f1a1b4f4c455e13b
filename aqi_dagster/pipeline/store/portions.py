"""Portions of the readings that fit in memory: parts of a range of windows, groups of the sensors of a large one."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from duckdb import DuckDBPyConnection

from aqi_dagster.windows import WindowRange

_READINGS = "SELECT window_start, readings FROM windows WHERE window_start BETWEEN $first AND $last"

# A group begins where the readings of the sensors before it reach the next multiple of $most.
_SPANS = """
WITH counted AS (
    SELECT sensor, count(*) AS readings
    FROM readings
    WHERE window_start BETWEEN $first AND $last AND NOT repeated
    GROUP BY sensor
), numbered AS (
    SELECT sensor, (sum(readings) OVER (ORDER BY sensor) - readings) // $most AS number
    FROM counted
)
SELECT min(sensor), max(sensor)
FROM numbered
GROUP BY number
ORDER BY number
"""


class SensorSpan(NamedTuple):
    """The sensors whose texts are from ``first_sensor`` to ``last_sensor``, both included, in the order of code points.

    The two are the parameters of ``sensor BETWEEN $first_sensor AND $last_sensor``.
    """

    first_sensor: str
    last_sensor: str


def readings_of(connection: DuckDBPyConnection, windows: WindowRange) -> dict[datetime, int]:
    """The number of readings, repeated ones left out, of those of ``windows`` that hold some."""
    return dict(connection.execute(_READINGS, windows.bounds).fetchall())


def parts_of(windows: WindowRange, readings: Mapping[datetime, int], most: int) -> Iterator[WindowRange]:
    """``windows`` in consecutive parts that hold at most so many ``readings`` (by start), or one window each.

    >>> first, second, third = datetime(2022, 7, 18), datetime(2022, 7, 18, 12), datetime(2022, 7, 19)
    >>> [len(part) for part in parts_of(WindowRange(first, third), {first: 3, second: 2, third: 7}, most=5)]
    [2, 1]
    """
    first = last = windows.first
    held = 0
    for start in windows:
        if start > first and held + readings.get(start, 0) > most:
            yield WindowRange(first, last)
            first, held = start, 0
        last = start
        held += readings.get(start, 0)
    yield WindowRange(first, last)


def sensor_spans(
    connection: DuckDBPyConnection, windows: WindowRange, readings: int, most: int
) -> list[SensorSpan | None]:
    """The sensors of ``windows`` in groups of some ``most`` readings, in order; ``[None]`` is all of them in one group.

    ``readings`` is how many the windows hold, repeated ones left out. A group exceeds ``most`` by less than the
    readings of its last sensor, so the smallest one is a single sensor.
    """
    if readings <= most:
        return [None]
    rows = connection.execute(_SPANS, {**windows.bounds, "most": most}).fetchall()
    return [SensorSpan(*row) for row in rows] or [None]
