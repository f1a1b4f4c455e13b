"""The table of the sensors' health: what is read and written, and what is missing."""

from datetime import timedelta

import pyarrow as pa
import pytest

from aqi_dagster.pipeline.health.health_rows import judge_health
from aqi_dagster.pipeline.health.health_table import (
    HEALTH_SCHEMA,
    overwrite_health,
    read_health,
    read_history,
    sensor_health,
    windows_without_health,
)
from aqi_dagster.pipeline.health.hours import read_hours
from aqi_dagster.pipeline.health.judge_windows import judge_windows
from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.windows import WindowRange
from tests.support.health import everywhere, health_of, report, window_at
from tests.support.messages import FIRST_WINDOW
from tests.support.tables import rows

ONE_WINDOW = WindowRange(FIRST_WINDOW, FIRST_WINDOW)

A, B = "39.1, -120.1", "39.5, -120.1"


def test_what_is_written_is_read(connection: Writer) -> None:
    report(connection, 0, {A: 18, B: 484})
    table = judge_health(FIRST_WINDOW, read_hours(connection, ONE_WINDOW), HEALTH_SCHEMA.empty_table(), everywhere)
    overwrite_health(connection, ONE_WINDOW, table)
    assert read_health(connection, FIRST_WINDOW) == sensor_health(table)
    assert connection.sql("FROM sensor_health ORDER BY sensor").to_arrow_table().cast(HEALTH_SCHEMA) == table
    (row, _) = sensor_health(table)
    assert (row.sensor, row.hours, row.fault, row.ratio_up) == (A, 12, None, None)
    assert row.mean_pm25 == pytest.approx(18)
    assert row.max_hour_pm25 == pytest.approx(18 * 1.055)


def test_what_is_written_replaces_what_was_there(connection: Writer) -> None:
    for number in range(3):
        report(connection, number, {A: 18})
    health_of(connection, 2)
    overwrite_health(connection, WindowRange(window_at(0), window_at(1)), HEALTH_SCHEMA.empty_table())
    assert rows(connection, "SELECT window_start FROM sensor_health") == [(window_at(2),)]


def test_history_is_that_of_14_days(connection: Writer) -> None:
    for number in range(30):
        report(connection, number, {A: 18})
    health_of(connection, 29)
    starts = set(read_history(connection, window_at(29), FIRST_WINDOW)["window_start"].to_pylist())
    assert starts == {window_at(number) for number in range(1, 29)}
    starts = set(read_history(connection, window_at(29), window_at(20))["window_start"].to_pylist())
    assert starts == {window_at(number) for number in range(20, 29)}


def test_windows_before_the_first_one_are_no_history(connection: Writer) -> None:
    report(connection, 0, {B: 18})
    report(connection, 1, {A: 18, B: 18})
    health_of(connection, 1)
    assert [row.is_new for row in read_health(connection, window_at(1))] == [True, False]
    judge_windows(connection, WindowRange(window_at(1), window_at(1)), window_at(1), everywhere, "regions")
    assert [row.is_new for row in read_health(connection, window_at(1))] == [False, False]


def test_earlier_windows_that_were_not_judged_are_named(connection: Writer) -> None:
    for number in (0, 1, 3, 29):
        report(connection, number, {A: 18})
    assert windows_without_health(connection, window_at(0), FIRST_WINDOW) == []
    assert windows_without_health(connection, window_at(29), FIRST_WINDOW) == [window_at(1), window_at(3)]
    assert windows_without_health(connection, window_at(29), window_at(2)) == [window_at(3)]
    health_of(connection, 1)
    assert windows_without_health(connection, window_at(29), FIRST_WINDOW) == [window_at(3)]
    health_of(connection, 3)
    assert windows_without_health(connection, window_at(29), FIRST_WINDOW) == []


def test_hours_and_history_may_come_in_any_order(connection: Writer) -> None:
    for number in range(8):
        report(connection, number, {A: 10, B: 50, "40.1, -120.1": 50, "40.5, -120.1": [0.0] * 12})
    health_of(connection, 7)
    window = window_at(7)
    hours, history = (
        read_hours(connection, WindowRange(FIRST_WINDOW, window)),
        read_history(connection, window, FIRST_WINDOW),
    )
    expected = judge_health(window, hours, history, everywhere)
    backwards = pa.array(range(len(hours) - 1, -1, -1)), pa.array(range(len(history) - 1, -1, -1))
    later = history.set_column(
        1, "window_start", pa.array([window + timedelta(hours=12)] * len(history), pa.timestamp("us"))
    )
    shuffled = pa.concat_tables([later, history.take(backwards[1])])
    assert judge_health(window, hours.take(backwards[0]), shuffled, everywhere) == expected
    assert expected["fault"].to_pylist() == [None, None, None, "dead"]
