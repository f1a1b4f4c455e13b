"""What may be wrong with the tables although every run succeeded: the queries behind the checks."""

from datetime import timedelta

import pytest
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.readings.accounting import (
    implausible_sensors,
    newest_window,
    pulled_messages,
    sensors_reporting,
)
from aqi_dagster.windows import WINDOW_LENGTH
from tests.support.messages import NOW, at, message, take_in
from tests.support.tables import rows
from tests.support.window_readings import SPOILT, STARTS, readings


@pytest.mark.parametrize(
    ("minutes", "values", "found"),
    [
        ([0, 359], [3, 3], []),
        ([0, 360], [3, 3], [(False, 3.0, 0, 360)]),
        ([0, 180, 360], [3, 4, 3], []),
        ([0, 180, 360, 720 - 1], [0, 0, 0, 5], [(False, 0.0, 0, 360)]),
        ([0, 119], [2001, 2500], []),
        ([0, 60, 120], [2001, 2500, -1], [(True, 2001.0, 0, 120)]),
        ([0, 60, 120], [2001, 2000, -1], []),
        ([0, 60, 120, 180, 400], [5, -3, -3, -4, 5], [(True, -3.0, 60, 180)]),
    ],
)
def test_only_hours_of_the_same_or_of_the_impossible_count(
    connection: DuckDBPyConnection,
    minutes: list[int],
    values: list[float],
    found: list[tuple[bool, float, int, int]],
) -> None:
    start = at("2022-08-01")
    take_in(
        connection,
        [message("45.1, -122", start + timedelta(minutes=m), v) for m, v in zip(minutes, values, strict=True)],
    )
    stretches = implausible_sensors(connection, start)
    assert [
        (
            one.impossible,
            one.pm25,
            (one.first - start) // timedelta(minutes=1),
            (one.last - start) // timedelta(minutes=1),
        )
        for one in stretches
    ] == found
    assert implausible_sensors(connection, start + WINDOW_LENGTH) == []


def test_a_sensor_that_is_back_or_long_gone_is_not_silent(connection: DuckDBPyConnection) -> None:
    window = at("2022-08-02 12:00")
    last = {
        "45.1, -122": window - timedelta(days=1, seconds=1),
        "45.2, -122": window - timedelta(days=1),
        "45.3, -122": window - timedelta(seconds=1),
        "45.4, -122": window,
        "45.5, -122": window + timedelta(days=2),
    }
    take_in(connection, [message(sensor, moment, 5) for sensor, moment in last.items()])
    found = sensors_reporting(connection, window)
    assert found.reporting == 2
    assert found.silent == {sensor: last[sensor] for sensor in ("45.2, -122", "45.3, -122")}


def test_the_newest_window_is_the_newest_that_was_scored_or_asked_for(connection: DuckDBPyConnection) -> None:
    assert newest_window(connection, STARTS[0]) == STARTS[0]
    connection.execute(
        "INSERT INTO windows (window_start, readings, scored) VALUES (?, 1, 1), (?, 1, NULL)", STARTS[1:3]
    )
    assert newest_window(connection, STARTS[0]) == STARTS[1]
    assert newest_window(connection, STARTS[2]) == STARTS[2]


def test_what_was_pulled_before_does_not_count(connection: DuckDBPyConnection) -> None:
    take_in(connection, [SPOILT, *readings(STARTS[0])])
    assert pulled_messages(connection, NOW).rejected == {"value is not JSON": 1}
    later = pulled_messages(connection, NOW + timedelta(seconds=1))
    assert (later.messages, later.rejected, later.rejected_share) == (0, {}, 0.0)
    assert rows(connection, "SELECT count(*) FROM rejected_messages") == [(1,)]
