"""The readings of a window hour by hour."""

from collections import defaultdict
from datetime import datetime, timedelta
from statistics import fmean
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aqi_dagster.pipeline.health.hours import read_hours
from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange
from tests.support.health import window_at
from tests.support.messages import FIRST_WINDOW, message, take_in

SENSOR = "39.1, -120.1"


def hours_of(connection: Writer, first: datetime = FIRST_WINDOW, last: datetime = FIRST_WINDOW) -> Any:
    return read_hours(connection, WindowRange(first, last)).to_pylist()


def test_an_hour_is_summed_up_from_the_readings_that_have_a_value(connection: Writer) -> None:
    fields = [
        {"Humidity_%": "40", "PM1.0_CF1_ug/m3": "3", "PM10.0_CF1_ug/m3": "12"},
        {"Humidity_%": "", "PM1.0_CF1_ug/m3": "5", "PM10.0_CF1_ug/m3": ""},
        {"Humidity_%": "60"},
    ]
    moments = [FIRST_WINDOW + timedelta(hours=3, minutes=20 * number) for number in range(3)]
    values = zip(moments, (7, 8, 15), fields, strict=True)
    take_in(connection, [message(SENSOR, moment, pm25, **those) for moment, pm25, those in values])
    connection.execute("UPDATE readings SET pm25_cf1_b = 9.5 WHERE created_at = ?", [moments[1]])
    assert hours_of(connection) == [
        {
            "sensor": SENSOR,
            "window_start": FIRST_WINDOW,
            "hour": FIRST_WINDOW + timedelta(hours=3),
            "mean_pm25": 10.0,
            "least_pm25": 7.0,
            "greatest_pm25": 15.0,
            "humidity": 50.0,
            "fine_share": 4 / 12,
            "mean_pm25_b": 9.5,
        }
    ]


def test_what_no_reading_has_is_missing(connection: Writer) -> None:
    take_in(connection, [message(SENSOR, FIRST_WINDOW, 7)])
    take_in(connection, [message(SENSOR, FIRST_WINDOW + timedelta(hours=1), 7, **{"PM10.0_CF1_ug/m3": "0"})])
    for hour in hours_of(connection):
        assert (hour["humidity"], hour["fine_share"], hour["mean_pm25_b"]) == (None, None, None)


def test_repeated_readings_count_once(connection: Writer) -> None:
    moment = FIRST_WINDOW + timedelta(minutes=5)
    take_in(connection, [message(SENSOR, moment, 7), message(SENSOR, moment, 900)])
    take_in(connection, [message(SENSOR, moment, 800), message(SENSOR, moment + timedelta(minutes=1), 9)])
    (hour,) = hours_of(connection)
    assert (hour["mean_pm25"], hour["least_pm25"], hour["greatest_pm25"]) == (8.0, 7.0, 9.0)


def test_hours_are_clock_hours_of_the_windows_that_are_asked_for(connection: Writer) -> None:
    second = timedelta(seconds=1)
    moments = [FIRST_WINDOW - second, FIRST_WINDOW, FIRST_WINDOW + timedelta(hours=1) - second, window_at(1) - second]
    later = [window_at(1), window_at(2) - second, window_at(2)]
    take_in(connection, [message(SENSOR, moment, 7) for moment in (*moments, *later)])
    found = [(hour["window_start"], hour["hour"]) for hour in hours_of(connection, window_at(0), window_at(1))]
    assert found == [
        (window_at(0), window_at(0)),
        (window_at(0), window_at(1) - timedelta(hours=1)),
        (window_at(1), window_at(1)),
        (window_at(1), window_at(2) - timedelta(hours=1)),
    ]


@pytest.mark.parametrize(("value", "mean"), [(1e300, 1e18), (-1e300, -1e18)])
def test_values_beyond_all_measure_are_borne(connection: Writer, value: float, mean: float) -> None:
    take_in(connection, [message(SENSOR, FIRST_WINDOW + timedelta(minutes=n), 7) for n in range(60)])
    columns = ["pm25_cf1", "pm25_cf1_b", "humidity", "pm1_cf1", "pm10_cf1"]
    connection.execute(f"UPDATE readings SET {', '.join(f'{column} = $value' for column in columns)}", {"value": value})
    (hour,) = hours_of(connection)
    assert (hour["mean_pm25"], hour["mean_pm25_b"], hour["humidity"], hour["fine_share"]) == (mean, mean, mean, 1.0)
    assert (hour["least_pm25"], hour["greatest_pm25"]) == (value, value)


numbers = st.floats(-10, 1e4).map(lambda value: round(value, 6))

optional_numbers = st.one_of(st.none(), numbers)

readings = st.lists(
    st.fixed_dictionaries(
        {
            "sensor": st.sampled_from([SENSOR, "39.2, -120.2"]),
            "created_at": st.integers(0, 24 * 3600 - 1).map(lambda seconds: FIRST_WINDOW + timedelta(seconds=seconds)),
            "pm25_cf1": numbers,
            "pm25_cf1_b": optional_numbers,
            "humidity": optional_numbers,
            "pm1_cf1": optional_numbers,
            "pm10_cf1": optional_numbers,
        }
    ),
    unique_by=lambda reading: (reading["sensor"], reading["created_at"]),
    max_size=60,
)


def mean(rows: list[dict[str, Any]], column: str) -> float | None:
    values = [row[column] for row in rows if row[column] is not None]
    return fmean(values) if values else None


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=readings)
def test_hours_are_those_that_plain_python_finds(connection: Writer, drawn: list[dict[str, Any]]) -> None:
    fixed = {"repeated": False, "topic_generation": 1, "kafka_partition": 0, "kafka_offset": 0}
    connection.execute("DELETE FROM readings")
    by_hour = defaultdict(list)
    for reading in drawn:
        at = reading["created_at"]
        window = FIRST_WINDOW + (at - FIRST_WINDOW) // WINDOW_LENGTH * WINDOW_LENGTH
        row = {**reading, **fixed, "window_start": window, "ingested_at": at}
        by_hour[reading["sensor"], window, at.replace(minute=0, second=0)].append(row)
    rows = pa.Table.from_pylist([row for those in by_hour.values() for row in those])
    if drawn:
        connection.register("drawn", rows)
        connection.execute("INSERT INTO readings BY NAME FROM drawn")
    found = hours_of(connection, window_at(0), window_at(1))
    assert [(hour["sensor"], hour["window_start"], hour["hour"]) for hour in found] == sorted(by_hour)
    for hour in found:
        those = by_hour[hour["sensor"], hour["window_start"], hour["hour"]]
        fine, coarse = mean(those, "pm1_cf1"), mean(those, "pm10_cf1")
        pm25 = [row["pm25_cf1"] for row in those]
        assert (hour["least_pm25"], hour["greatest_pm25"]) == (min(pm25), max(pm25))
        assert_close(hour["mean_pm25"], fmean(pm25))
        assert_close(hour["mean_pm25_b"], mean(those, "pm25_cf1_b"))
        assert_close(hour["humidity"], mean(those, "humidity"))
        assert_close(hour["fine_share"], fine / coarse if fine is not None and coarse else None)


def assert_close(found: float | None, expected: float | None) -> None:
    if expected is None:
        assert found is None
    else:
        assert found == pytest.approx(expected, rel=1e-8, abs=1e-12)
