"""Which sensors count as silent."""

from datetime import timedelta

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.readings.silent_sensors import sensors_reporting
from tests.support.messages import at, message, take_in


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
