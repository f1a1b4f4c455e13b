"""Air and sensors in small, and what the network rules make of them."""

import pytest

from aqi_dagster.pipeline.store.sql import Writer
from tests.support.health import (
    around,
    faults,
    health_of,
    healthy,
    judgement_of,
    report,
)

A, B, C = "39.10, -120.10", "39.20, -120.30", "39.40, -120.00"
"""Farther from each other than smoke of one burning house."""

NEAR_A = "39.109, -120.10"
"""A kilometre from A."""

OTHERS = ["38.0, -120", "38.2, -120", "38.4, -120", "38.6, -120", "38.8, -120"]


def test_a_failed_laser_reads_the_impossible_or_counts_only_small_particles(connection: Writer) -> None:
    for sensor, pm25 in ((A, 4_999.5), (B, 900.0)):
        fields = {"PM1.0_CF1_ug/m3": str(pm25), "PM10.0_CF1_ug/m3": str(pm25)}
        report(connection, 0, {sensor: [pm25, pm25]}, **fields)
    health = health_of(connection, 0)
    assert faults(health) == {A: "impossible", B: "flat"}
    assert health[B].reason == "Counts as many particles below 1 um as below 10: its laser has failed."
    assert health[A].reason == "Read up to 5,000 ug/m3, far more than a sensor can measure."


def test_a_sensor_that_reads_nothing_for_three_days_beside_others_is_dead(connection: Writer) -> None:
    for number in range(6):
        report(connection, number, {A: [0.0] * 12, B: 10.0, C: around(5.0)[:6]})
        expected = {A: "dead"} if number == 5 else {}
        assert faults(health_of(connection, number)) == expected
    health = health_of(connection, 5)
    assert health[A].reason == "Has read below 1 for three days while its neighbours reached 8."
    found = judgement_of(connection, 5)
    assert found is not None
    assert (found.verdict, found.broken_sensors, found.healthy_sensors) == ("malfunction", [A], [B, C])
    assert found.reason == "One sensor is faulty, and the air is below 35.5 ug/m3 (corrected): 5."


def test_one_that_reads_too_little_in_smoke_is_low_and_the_others_see_it(connection: Writer) -> None:
    report(connection, 0, {A: 18, B: 484, C: 616})
    health = health_of(connection, 0)
    assert faults(health) == {A: "low"}
    assert health[A].reason == "Read 18 where its neighbours read 484."
    found = judgement_of(connection, 0)
    assert found is not None
    assert (found.verdict, found.confidence) == ("smoke", "high")
    assert (found.healthy_sensors, found.broken_sensors) == ([B, C], [A])
    assert found.level == pytest.approx((health[B].corrected_pm25 + health[C].corrected_pm25) / 2)
    assert (
        found.reason
        == f"The middle one of 2 healthy sensors averaged {found.level:.0f} ug/m3 (corrected), 35.5 or more."
    )


def test_one_that_reads_too_much_is_high_and_the_others_are_not_low(connection: Writer) -> None:
    report(connection, 0, {A: 511, B: 5.4, C: 5.8})
    health = health_of(connection, 0)
    assert faults(health) == {A: "high"}
    assert health[A].reason == "Read 511 where its neighbours read 6."
    assert healthy(health) == [B, C]
    found = judgement_of(connection, 0)
    assert found is not None
    assert found.verdict == "malfunction"


def test_two_that_see_a_fire_nearby_are_local_smoke(connection: Writer) -> None:
    report(connection, 0, {A: 700, NEAR_A: 720, **dict.fromkeys(OTHERS, 5)})
    health = health_of(connection, 0)
    assert [sensor for sensor, row in health.items() if row.is_local] == [A, NEAR_A]
    assert healthy(health) == OTHERS
    assert health[A].reason == (
        "Read 700 where its neighbours read 5, and another sensor nearby does too: smoke, but local."
    )
    found = judgement_of(connection, 0)
    assert found is not None
    assert (found.verdict, found.confidence, found.broken_sensors) == ("smoke", "low", [])
    assert found.level is not None
    assert found.level < 10
    assert found.reason == "Two sensors 1 km apart read 700 to 720 while the region reads 4: smoke, but local."


def test_one_alone_is_high(connection: Writer) -> None:
    report(connection, 0, {A: 700, **dict.fromkeys(OTHERS, 5)})
    found = judgement_of(connection, 0)
    assert found is not None
    assert (found.verdict, found.broken_sensors, found.healthy_sensors) == ("malfunction", [A], OTHERS)


def test_one_alone_whose_lasers_agree_is_local_smoke(connection: Writer) -> None:
    report(connection, 0, {A: 700, **dict.fromkeys(OTHERS, 5)}, second={A: 600})
    health = health_of(connection, 0)
    assert health[A].is_local
    assert health[A].reason == "Read 700 where its neighbours read 5, and both of its lasers agree: smoke, but local."
    found = judgement_of(connection, 0)
    assert found is not None
    assert (found.verdict, found.confidence, found.broken_sensors) == ("smoke", "low", [])
    assert found.reason == "One sensor whose two lasers agree read 700 while the region reads 4: smoke, but local."


def test_a_single_hour_can_be_impossible(connection: Writer) -> None:
    report(connection, 0, {A: [*around(5)[:11], 30_336.0], B: 5, C: 6})
    health = health_of(connection, 0)
    assert faults(health) == {A: "impossible"}
    assert health[A].reason == "Read up to 30,336 ug/m3, far more than a sensor can measure."


def test_what_was_impossible_a_week_ago_is_compared_but_has_no_vote(connection: Writer) -> None:
    report(connection, 0, {A: 2_400, B: 5, C: 2})
    for number in range(1, 14):
        report(connection, number, {A: 6, B: 5, C: 2})
    report(connection, 14, {A: 619, B: 5, C: 2})
    report(connection, 15, {A: 6, B: 5, C: 2})
    health = health_of(connection, 13)
    assert (health[A].on_probation, health[A].fault, health[A].is_healthy) == (True, None, False)
    health = health_of(connection, 14)
    assert (health[A].on_probation, health[A].fault, health[A].reason) == (
        True,
        "high",
        "Read 619 where its neighbours read 5.",
    )
    assert healthy(health) == [B, C]
    found = judgement_of(connection, 14)
    assert found is not None
    assert (found.verdict, found.broken_sensors) == ("malfunction", [A])
    # A week and a window later it is believed again.
    assert healthy(health_of(connection, 15)) == [A, B, C]


def test_nobody_is_dead_where_most_read_next_to_nothing(connection: Writer) -> None:
    sensors = [f"39.{number:02}, -120" for number in range(62)]
    for number in range(6):
        silent, others = around(0.4)[:6], around(30)[:6]
        report(connection, number, dict.fromkeys(sensors[:37], silent) | dict.fromkeys(sensors[37:], others))
    assert faults(health_of(connection, 5)) == {}
    assert judgement_of(connection, 5) is None


def test_two_alone_that_differ_too_much_are_in_dispute(connection: Writer) -> None:
    report(connection, 0, {A: 18, B: 484})
    health = health_of(connection, 0)
    assert [row.in_dispute for row in health.values()] == [True, True]
    assert faults(health) == {}
    assert health[A].reason == "Read 18 where the only other sensor read 484: one is wrong."
    found = judgement_of(connection, 0)
    assert found is not None
    assert (found.verdict, found.confidence, found.healthy_sensors) == ("smoke", "low", [])
    assert found.level == health[B].corrected_pm25
    assert found.reason == (
        f"Of two sensors that read 18 and 484 ug/m3 the higher averaged {found.level:.0f} ug/m3 (corrected), "
        "and 12 of its hours had 35.5 or more."
    )


def test_two_alone_that_differ_less_are_both_healthy(connection: Writer) -> None:
    report(connection, 0, {A: 11, B: 92})
    report(connection, 1, {A: 1_053, B: 692})
    for number in range(2):
        health = health_of(connection, number)
        assert healthy(health) == [A, B]
        assert [row.reason for row in health.values()] == [None, None]
        assert [row.in_dispute for row in health.values()] == [False, False]


def test_a_new_sensor_among_old_ones_does_not_vote(connection: Writer) -> None:
    report(connection, 0, {A: 5, B: 5})
    report(connection, 1, {A: 5, B: 5, C: 300})
    health = health_of(connection, 1)
    assert (health[C].is_new, health[C].fault, health[C].neighbours_pm25) == (True, None, None)
    assert health[C].reason is not None
    assert health[C].reason.startswith("Is new")
    assert healthy(health) == [A, B]
    assert judgement_of(connection, 1) is None


def test_in_the_very_first_window_nobody_is_new(connection: Writer) -> None:
    report(connection, 0, dict.fromkeys([A, B, C], 150))
    assert healthy(health_of(connection, 0)) == [A, B, C]
    found = judgement_of(connection, 0)
    assert found is not None
    assert (found.verdict, found.confidence) == ("smoke", "high")


def test_where_everybody_is_broken_there_is_no_level(connection: Writer) -> None:
    report(connection, 0, {A: 5_000, B: [40.0] * 12})
    found = judgement_of(connection, 0)
    assert found is not None
    assert (found.verdict, found.confidence, found.level) == ("malfunction", None, None)
    assert (found.healthy_sensors, found.broken_sensors) == ([], [A, B])
    assert found.reason == "2 sensors are faulty, and no healthy one is there to judge the air by."


@pytest.mark.parametrize("hours", [1, 3])
def test_a_fault_of_one_that_hardly_reported_is_a_malfunction(connection: Writer, hours: int) -> None:
    report(connection, 0, {A: around(5_000)[:hours]})
    found = judgement_of(connection, 0)
    assert found is not None
    assert (found.verdict, found.level, found.broken_sensors) == ("malfunction", None, [A])
    assert found.reason == "One sensor is faulty, and no healthy one is there to judge the air by."


def test_where_nobody_takes_part_and_nothing_is_wrong_nothing_is_said(connection: Writer) -> None:
    report(connection, 0, {A: around(300)[:5]})
    health = health_of(connection, 0)
    assert health[A].reason == "Reported in 5 of the window's hours, and takes part from 6 on."
    assert judgement_of(connection, 0) is None


def test_what_was_stuck_yesterday_is_compared_and_has_no_vote(connection: Writer) -> None:
    report(connection, 0, {A: [40.0] * 12, B: 484, C: 616})
    report(connection, 1, {A: 18, B: 484, C: 616})
    report(connection, 2, {A: 500, B: 484, C: 616})
    assert faults(health_of(connection, 0)) == {A: "stuck"}
    health = health_of(connection, 1)
    assert (health[A].on_probation, health[A].fault) == (True, "low")
    health = health_of(connection, 2)
    assert (health[A].on_probation, health[A].fault, health[A].is_healthy) == (True, None, False)
    assert (health[A].ratio_down, health[A].ratio_up, health[A].neighbours_pm25) == (None, None, None)


def test_six_windows_at_a_fifth_of_the_others_are_unlike_them(connection: Writer) -> None:
    for number in range(5):
        report(connection, number, {A: 10, B: 50, C: 50, OTHERS[0]: 50})
    report(connection, 5, {A: 20, B: 100, C: 100, OTHERS[0]: 100})
    assert healthy(health_of(connection, 4)) == [OTHERS[0], A, B, C]
    health = health_of(connection, 5)
    assert (health[A].unlike_neighbours, health[A].fault) == (True, None)
    assert health[A].ratio_down == pytest.approx(0.2)
    assert health[A].reason == "Has read 0.2 times as much as its neighbours, by the middle of its last 6 windows."
    found = judgement_of(connection, 5)
    assert found is not None
    assert (found.verdict, found.broken_sensors) == ("smoke", [])
    assert found.healthy_sensors == [OTHERS[0], B, C]
    assert found.level == health[B].corrected_pm25
