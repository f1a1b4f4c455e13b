"""Readings that no instrument can report, as a release before took them in: no smoke, no long number, and a check."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from duckdb import DuckDBPyConnection

from aqi_dagster.assets.sensor_checks import values_plausible
from aqi_dagster.pipeline.alerts.slack_blocks import digest_message, message
from aqi_dagster.pipeline.alerts.wording import story
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.verdicts.implausible import absurd_readings
from aqi_dagster.pipeline.verdicts.outbox.due_alerts import due_alerts
from aqi_dagster.pipeline.verdicts.regional_window import RegionalWindow
from aqi_dagster.pipeline.verdicts.rule_sets import RULE_SETS
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange
from tests.support.health import faults, health_of, report
from tests.support.messages import FIRST_WINDOW, take_in
from tests.support.messages import message as reading
from tests.support.pipeline import Pipeline, pipeline
from tests.support.tables import rows

SENSOR, OTHER = "45.1, -122", "45.2, -122"

WINDOWS = WindowRange(FIRST_WINDOW, FIRST_WINDOW + WINDOW_LENGTH)

LONG_NUMBER = re.compile(r"\d[\d,]{12,}")
"""A number of more digits than any measurement has."""


@contextmanager
def stored(pm25: float, rules: str) -> Iterator[Pipeline]:
    """Two windows of two sensors, of which one sensor reads ``pm25`` alone in the second."""
    with pipeline() as ran:
        ran.change(rules=RULE_SETS[rules], parameters=DetectorParameters(window_size=40))
        ran.pull(
            [
                reading(sensor, FIRST_WINDOW + timedelta(minutes=10 * number), 9.0 + number % 7)
                for number in range(144)
                for sensor in (SENSOR, OTHER)
            ]
        )
        absurd = "UPDATE readings SET pm25_cf1 = ? WHERE sensor = ? AND window_start = ?"
        ran.connection.execute(absurd, [pm25, SENSOR, WINDOWS.last])
        ran.run(WINDOWS)
        yield ran


def regional_windows(connection: DuckDBPyConnection) -> list[RegionalWindow]:
    table = connection.sql("FROM regional_windows").to_arrow_table()
    return [RegionalWindow(**row) for row in table.to_pylist()]


@pytest.mark.parametrize(
    ("pm25", "rules", "heading"),
    [
        (1.7e308, "notebook", "Malfunctioning Sensor: "),
        (1e200, "notebook", "Malfunctioning Sensor: "),
        # As steady as the notebook's rules ask of smoke.
        (1e19, "notebook", "Suspected Smoke, Doubtful: "),
        (1.7e308, "network", "Malfunctioning Sensor: "),
    ],
)
def test_what_no_instrument_can_report_is_no_smoke_to_be_believed(pm25: float, rules: str, heading: str) -> None:
    with stored(pm25, rules) as ran:
        (window,) = regional_windows(ran.connection)
        alerts = due_alerts(ran.connection)
        assert alerts
        shown = [story(window), str(digest_message(alerts)), *(str(message(alert)) for alert in alerts)]
        assert shown[0].startswith(heading)
        assert [text for text in shown if LONG_NUMBER.search(text) or "nan" in text.split()] == []
        check = values_plausible(ran.connection, WINDOWS.last)
        assert not check.passed
        assert f"from a release that took it in: {SENSOR} (72 readings)." in (check.description or "")
        assert not LONG_NUMBER.search(check.description or "")


@pytest.mark.parametrize("column", ["pm25_cf1", "pm25_cf1_b", "pm1_cf1", "pm10_cf1", "pm25_atm"])
def test_every_mass_that_is_stored_is_looked_at(connection: DuckDBPyConnection, column: str) -> None:
    take_in(connection, [reading(SENSOR, FIRST_WINDOW + timedelta(minutes=n), 5) for n in range(5)])
    values = [100_000.0, -100_000.0, 100_000.1, -1e300, float("nan")]
    for offset, value in enumerate(values):
        connection.execute(f"UPDATE readings SET {column} = ? WHERE kafka_offset = ?", [value, offset])
    assert absurd_readings(connection) == {SENSOR: 3}


@pytest.mark.parametrize("second", [1e300, 0.0])
def test_no_reason_of_a_fault_holds_a_long_number(connection: DuckDBPyConnection, second: float) -> None:
    report(connection, 0, {SENSOR: 9.0, OTHER: 9.0})
    for sensor, pm25 in ((SENSOR, 1e300), (OTHER, -1e300)):
        connection.execute("UPDATE readings SET pm25_cf1 = ?, pm25_cf1_b = ? WHERE sensor = ?", [pm25, second, sensor])
    health = health_of(connection, 0)
    assert SENSOR in faults(health)
    assert [row.reason for row in health.values() if LONG_NUMBER.search(row.reason or "")] == []
    assert rows(connection, "SELECT count(*) FROM sensor_health WHERE isinf(mean_pm25)") == [(0,)]


def test_readings_as_steady_that_can_be_true_are_smoke() -> None:
    with stored(900.0, "notebook") as ran:
        (window,) = regional_windows(ran.connection)
        assert (window.verdict, window.count_sensors, window.variation) == ("smoke", 1, 0.0)
