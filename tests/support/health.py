"""Windows in which sensors read what a test says, and the health that follows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from aqi_dagster.pipeline.health.health_table import SensorHealth, read_health
from aqi_dagster.pipeline.health.judge_windows import judge_windows
from aqi_dagster.pipeline.store.sql import Writer, scalar
from aqi_dagster.pipeline.verdicts.network_rules import Judgement, judge
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange
from tests.support.messages import FIRST_WINDOW, message, take_in

REGION_NAME = "Lake Tahoe"

Hourly = Sequence[float | None]
"""A value for each hour of a window, from its start on; None where there is no reading, or no such value."""


def window_at(number: int) -> datetime:
    """Start of the window that comes ``number`` windows after the first of the tests."""
    return FIRST_WINDOW + number * WINDOW_LENGTH


def around(mean: float) -> Hourly:
    """Twelve hours that differ by a percent from one to the next, as air does, and have that ``mean``."""
    return [mean * (1 + (hour - 5.5) / 100) for hour in range(12)]


def report_steadily(connection: Writer, windows: int, pm25: Mapping[str, float]) -> None:
    """Have sensors read :func:`around` the same mean in each of the first ``windows``, all in one chunk."""
    readings = [
        reading
        for number in range(windows)
        for sensor, mean in pm25.items()
        for reading in _readings(number, sensor, mean)
    ]
    take_in(connection, [message(*reading) for reading in readings])


def report(
    connection: Writer,
    number: int,
    pm25: Mapping[str, float | Hourly],
    second: Mapping[str, float | Hourly] | None = None,
    **fields: Any,
) -> None:
    """Have sensors read ``pm25`` in the window ``number``, each hour by hour or :func:`around` a mean.

    ``second`` is what their second lasers read, ``fields`` are further fields of every message.
    """
    readings = [reading for sensor, values in pm25.items() for reading in _readings(number, sensor, values)]
    stored = scalar(connection, "SELECT count(*) FROM readings")
    take_in(connection, [message(*reading, **fields) for reading in readings], stored)
    for sensor, values in (second or {}).items():
        for reading in _readings(number, sensor, values):
            connection.execute(
                "UPDATE readings SET pm25_cf1_b = $3 WHERE sensor = $1 AND created_at = $2", list(reading)
            )


def _readings(number: int, sensor: str, values: float | Hourly) -> Iterator[tuple[str, datetime, float]]:
    """One reading in the middle of each hour that has a value."""
    for hour, value in enumerate(around(values) if isinstance(values, int | float) else values):
        if value is not None:
            yield sensor, window_at(number) + timedelta(hours=hour, minutes=30), value


def everywhere(_: str) -> str:
    """The one region of all sensors."""
    return REGION_NAME


def health_of(
    connection: Writer, number: int, region_of: Callable[[str], str | None] = everywhere
) -> dict[str, SensorHealth]:
    """Judge all windows up to the window ``number``; the health of its sensors, by sensor."""
    judge_windows(connection, WindowRange(FIRST_WINDOW, window_at(number)), FIRST_WINDOW, region_of, "regions")
    return {row.sensor: row for row in read_health(connection, window_at(number))}


def judgement_of(connection: Writer, number: int) -> Judgement | None:
    """Judge all windows up to the window ``number``; the judgement on it."""
    return judge(REGION_NAME, window_at(number), health_of(connection, number).values())


def faults(health: Mapping[str, SensorHealth]) -> dict[str, str]:
    """The faults by sensor."""
    return {sensor: row.fault for sensor, row in health.items() if row.fault is not None}


def healthy(health: Mapping[str, SensorHealth]) -> list[str]:
    """The sensors that have a vote."""
    return [sensor for sensor, row in health.items() if row.is_healthy]
