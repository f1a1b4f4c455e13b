"""A device whose place comes in several spellings: wherever sensors are counted it is one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from aqi_dagster.pipeline.alerts.wording import reason
from aqi_dagster.pipeline.reporting.status import store_status
from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.windows import WindowRange
from tests.support.alert_examples import MALFUNCTION
from tests.support.health import around, faults, health_of, healthy, judgement_of, report
from tests.support.messages import FIRST_WINDOW, message
from tests.support.pipeline import pipeline
from tests.support.tables import rows

ONE, AGAIN = "38.9, -120.1", "38.90, -120.10"

OTHER, THIRD = "39.3, -120.1", "39.6, -120.1"


def test_the_notebook_rules_take_no_device_for_two_that_bear_each_other_out() -> None:
    """Two anomalies of one device that alternates its spelling are a malfunction; of two devices they are smoke."""
    for second, verdict, count in ((AGAIN, "malfunction", 1), (OTHER, "smoke", 2)):
        with pipeline() as ran:
            plain = [
                message(sensor, FIRST_WINDOW + timedelta(minutes=20 * number), 9)
                for number in range(20)
                for sensor in (ONE, second)
            ]
            high = [message(sensor, FIRST_WINDOW + timedelta(hours=8), 900) for sensor in (ONE, second)]
            ran.pull(plain + high)
            ran.run(WindowRange(FIRST_WINDOW, FIRST_WINDOW))
            found = rows(ran.connection, "SELECT verdict, count_sensors, sensors FROM regional_windows")
            assert found == [(verdict, count, sorted([ONE, second]))]
            assert store_status(ran.connection, ran.choices).sensors == count


def test_an_alert_counts_devices() -> None:
    assert reason(replace(MALFUNCTION, sensors=[ONE, AGAIN])).startswith("1 sensor, 4 anomalies")
    assert reason(replace(MALFUNCTION, sensors=[ONE, AGAIN, OTHER])).startswith("2 sensors, 4 anomalies")


def test_smoke_that_one_device_saw_under_two_texts_is_that_of_one_witness(connection: Writer) -> None:
    report(connection, 0, {ONE: 300, AGAIN: 305})
    found = judgement_of(connection, 0)
    assert found is not None
    assert (found.verdict, found.confidence, found.healthy_sensors) == ("smoke", "low", [ONE])
    assert found.reason.startswith("The only healthy sensor averaged")
    assert health_of(connection, 0)[AGAIN].reason == f"Is the same sensor as {ONE}, which is judged in its place."


@pytest.mark.parametrize("second", [AGAIN, "38.900000,-120.100000"])
def test_a_device_under_two_texts_does_not_outvote_another(connection: Writer, second: str) -> None:
    report(connection, 0, {ONE: 10, second: 10, OTHER: 484})
    health = health_of(connection, 0)
    assert faults(health) == {}
    assert healthy(health) == []
    assert [sensor for sensor, row in health.items() if row.in_dispute] == [ONE, OTHER]


def test_a_high_device_is_no_local_smoke_because_it_has_a_second_text(connection: Writer) -> None:
    report(connection, 0, {ONE: 700, AGAIN: 700, OTHER: 9, THIRD: 9})
    assert faults(health_of(connection, 0)) == {ONE: "high"}


def test_the_text_with_most_hours_is_judged_and_the_other_is_no_stranger_later(connection: Writer) -> None:
    report(connection, 0, {ONE: [9.0, 10.0, 9.0, 10.0, 9.0, 10.0, *[None] * 6], AGAIN: around(9), OTHER: 9})
    health = health_of(connection, 0)
    assert (health[ONE].region, health[ONE].hours, health[AGAIN].is_healthy) == (None, 6, True)
    report(connection, 1, {ONE: 9, OTHER: 9})
    assert healthy(health_of(connection, 1)) == [ONE, OTHER]


def test_a_text_whose_region_is_not_known_does_not_stand_for_one_whose_is(connection: Writer) -> None:
    report(connection, 0, {ONE: 300, AGAIN: around(305)[:7], OTHER: 300})
    health = health_of(connection, 0, lambda sensor: None if sensor == ONE else "Lake Tahoe")
    assert healthy(health) == [AGAIN, OTHER]
    assert health[ONE].reason == f"Is the same sensor as {AGAIN}, which is judged in its place."
