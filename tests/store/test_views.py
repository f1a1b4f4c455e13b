"""The views for people: smoke that goes on, sensors in their windows, hours."""

from datetime import timedelta

from duckdb import DuckDBPyConnection

from aqi_dagster.windows import WINDOW_LENGTH
from tests.support.messages import FIRST_WINDOW, message, take_in
from tests.support.tables import rows
from tests.support.verdicts import find

ONE, TWO = "45.1, -122", "45.2, -122"


def test_smoke_in_windows_without_a_gap_is_one_spell(connection: DuckDBPyConnection) -> None:
    for number, sensors in {0: [ONE, TWO], 1: [ONE, TWO, "45.3, -122"], 2: [ONE], 3: [ONE, TWO], 5: [ONE, TWO]}.items():
        start = FIRST_WINDOW + number * WINDOW_LENGTH
        connection.execute("INSERT INTO windows (window_start, readings) VALUES (?, 3)", [start])
        find(connection, start, sensors)
    spells = "SELECT first_event, ended_by, windows, most_sensors, anomalies, max_pm25 FROM smoke_spells ORDER BY ALL"
    assert rows(connection, spells) == [
        (FIRST_WINDOW, FIRST_WINDOW + 2 * WINDOW_LENGTH, 2, 3, 5, 502.0),
        (FIRST_WINDOW + 3 * WINDOW_LENGTH, FIRST_WINDOW + 4 * WINDOW_LENGTH, 1, 2, 2, 501.0),
        (FIRST_WINDOW + 5 * WINDOW_LENGTH, FIRST_WINDOW + 6 * WINDOW_LENGTH, 1, 2, 2, 501.0),
    ]
    of_sensors = "SELECT sensor, anomalies, max_pm25, count_sensors, verdict FROM sensor_windows "
    assert rows(connection, f"{of_sensors} WHERE window_start = TIMESTAMP '2022-07-18' ORDER BY sensor") == [
        (ONE, 1, 500.0, 2, "smoke"),
        (TWO, 1, 501.0, 2, "smoke"),
    ]


def test_an_hour_has_the_mean_of_its_readings_without_those_that_were_repeated(connection: DuckDBPyConnection) -> None:
    times = [FIRST_WINDOW + timedelta(minutes=minute) for minute in (0, 59, 60)]
    found = [message(ONE, time, 10.0 * number, **{"Humidity_%": 40}) for number, time in enumerate(times, start=1)]
    take_in(connection, [*found, message(ONE, times[0], 900)])
    hours = "SELECT hour, readings, mean_pm25, max_pm25, round(mean_pm25_corrected, 6) FROM hourly_pm25 ORDER BY hour"
    assert rows(connection, hours) == [
        (times[0], 2, 15.0, 20.0, round(0.524 * 15 - 0.0862 * 40 + 5.75, 6)),
        (times[2], 1, 30.0, 30.0, round(0.524 * 30 - 0.0862 * 40 + 5.75, 6)),
    ]
