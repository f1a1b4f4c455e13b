"""What is wrong with a sensor by its own readings: the limits, and which fault comes first."""

from typing import Any

import pytest

from aqi_dagster.pipeline.store.sql import Writer
from tests.support.health import Hourly, around, faults, health_of, report

SENSOR = "39.1, -120.1"

ONES: Hourly = [1.0] * 12


def fault_of(connection: Writer, pm25: float | Hourly, second: float | Hourly = (), **fields: Any) -> str | None:
    """The fault of a sensor that is alone in its first window."""
    report(connection, 0, {SENSOR: pm25}, {SENSOR: second}, **fields)
    return health_of(connection, 0)[SENSOR].fault


@pytest.mark.parametrize(
    ("apart", "fault"), [(3, "disagree"), (2, None)], ids=["in three of six hours", "in two of six"]
)
def test_lasers_disagree_in_half_of_the_hours_with_both(connection: Writer, apart: int, fault: str | None) -> None:
    first = around(10)[:6]
    assert fault_of(connection, first, [80.0] * apart + [10.0] * (6 - apart)) == fault


@pytest.mark.parametrize(
    ("first", "second", "fault"),
    [
        ([10.0, 12.0], [80.0], "disagree"),
        ([10.0, 12.0], [None, 80.0], "disagree"),
        ([10.0, 12.0, 11.0], [None, 80.0, 10.0], "disagree"),
        ([10.0, 12.0, 11.0, 12.0], [None, 80.0, 10.0, 11.0], None),
        ([10.0], [80.0], None),
        ([10.0, 12.0], [], None),
        ([10.0, 12.0], [30.0, 32.0], None),
        ([10.0, 12.0], [30.01, 32.01], "disagree"),
        ([139.0, 139.0], [261.0, 261.0], None),
        ([138.9, 138.9], [261.1, 261.1], "disagree"),
    ],
)
def test_when_lasers_disagree(connection: Writer, first: Hourly, second: Hourly, fault: str | None) -> None:
    assert fault_of(connection, first, second) == fault


def test_a_disagreement_is_told_by_its_worst_hour(connection: Writer) -> None:
    report(connection, 0, {SENSOR: [10.0, 11.0, 12.0]}, {SENSOR: [80.0, 90.0, 12.0]})
    row = health_of(connection, 0)[SENSOR]
    assert row.reason == "Its two lasers disagree in 2 of 3 hours, such as 11 and 90 ug/m3."


@pytest.mark.parametrize(
    ("first", "second", "fault"),
    [
        ([2_500.0, 2_400.0], [1_500.0, 1_500.0], None),
        ([2_500.0, 2_400.0], [5.0, 5.0], "disagree"),
        ([2_500.0, 2_400.0], [], "impossible"),
        ([2_500.0, 5.0, 5.5], [], None),
        ([2_500.0, 5.0], [], "impossible"),
        ([2_500.0], [], "impossible"),
        ([2_000.0, 2_000.0], [], None),
        ([2_500.0, *around(5)[1:]], [], None),
        ([2_500.0, 2_400.0, *around(5)[2:]], [], "impossible"),
        # Half of the hours with both lasers are not more than half.
        ([2_500.0, 2_400.0, 5.0, 5.0], [2_400.0, None, 30.0, None], "disagree"),
        ([2_500.0, 2_400.0, 15.0, 15.0], [2_400.0, None, 30.0, None], "impossible"),
        ([2_500.0, 2_400.0, 15.0, 15.0], [2_400.0, None, 16.0, None], None),
        ([6_000.0], [6_000.0], None),
        ([6_000.1, 5.0, 5.0, 5.0], [6_000.0], "impossible"),
        ([6_000.1], [6_000.1], "impossible"),
    ],
)
def test_what_is_impossible(connection: Writer, first: Hourly, second: Hourly, fault: str | None) -> None:
    assert fault_of(connection, first, second) == fault


@pytest.mark.parametrize(
    ("pm25", "fine", "coarse", "fault"),
    [
        ([900.0, 900.0], 900, 900, "flat"),
        ([900.0], 900, 900, "flat"),
        ([900.0, *around(5)[1:]], 900, 900, None),
        ([900.0, 5.0], 900, 900, "flat"),
        ([50.0, 50.0], 900, 900, None),
        ([50.1, 50.1], 900, 900, "flat"),
        ([900.0, 900.0], 90, 100, None),
        ([900.0, 900.0], 90.1, 100, "flat"),
        ([900.0, 900.0], 900, 0, None),
        ([900.0, 900.0], 900, None, None),
        ([900.0, 900.0], None, 900, None),
    ],
)
def test_what_is_flat(
    connection: Writer, pm25: Hourly, fine: float | None, coarse: float | None, fault: str | None
) -> None:
    numbers = {"PM1.0_CF1_ug/m3": fine, "PM10.0_CF1_ug/m3": coarse}
    fields = {name: str(number) for name, number in numbers.items() if number is not None}
    assert fault_of(connection, pm25, **fields) == fault


@pytest.mark.parametrize(
    ("pm25", "fault"),
    [
        ([40.0, 40.1, 40.2, 40.3, 40.2, 40.1], "stuck"),
        ([40.0, 40.1, 40.2, 40.39, 40.2, 40.1], "stuck"),
        ([40.0, 40.1, 40.2, 40.41, 40.2, 40.1], None),
        ([40.0, 40.1, 40.2, 40.3, 40.2], None),
        ([19.9, 19.91] * 6, None),
        ([20.1, 20.11] * 6, "stuck"),
        ([2.39] * 6, "stuck"),
        ([2.39] * 5, None),
        ([0.0] * 12, None),
        ([-3.0] * 12, None),
    ],
)
def test_what_is_stuck(connection: Writer, pm25: Hourly, fault: str | None) -> None:
    assert fault_of(connection, pm25) == fault


def test_what_is_stuck_is_told_by_what_it_reads(connection: Writer) -> None:
    report(connection, 0, {SENSOR: [2.39] * 6, "40, -120": [40.0, 40.1, 40.2, 40.3, 40.2, 40.1]})
    assert [row.reason for row in health_of(connection, 0).values()] == [
        "Read 2.39 ug/m3 and nothing else: it is stuck.",
        "Read 40 ug/m3 hour after hour, within one percent: air does not stay like that.",
    ]


@pytest.mark.parametrize(
    ("pm25", "second", "fine", "fault"),
    [
        ([7_000.0] * 6, [5.0] * 6, 900, "disagree"),
        ([7_000.0] * 6, [], 900, "impossible"),
        ([900.0] * 6, [], 900, "flat"),
        ([900.0] * 6, [], 500, "stuck"),
    ],
)
def test_the_first_fault_that_fits_counts(
    connection: Writer, pm25: Hourly, second: Hourly, fine: float, fault: str
) -> None:
    fields = {"PM1.0_CF1_ug/m3": str(fine), "PM10.0_CF1_ug/m3": "900"}
    assert fault_of(connection, pm25, second, **fields) == fault


def silent_windows(connection: Writer, numbers: list[int], others: float | Hourly = 10.0) -> dict[str, str]:
    """The faults in the last of the windows ``numbers``, in all of which the sensor reads nothing and one other air."""
    for number in range(max(numbers) + 1):
        report(connection, number, {"40, -120": others, **({SENSOR: [0.0] * 12} if number in numbers else {})})
    return faults(health_of(connection, max(numbers)))


@pytest.mark.parametrize(
    ("numbers", "dead"),
    [
        ([0, 1, 2, 3, 4, 5], True),
        ([0, 1, 2, 3, 4], False),
        # The first of the five may begin seven days before, and no earlier.
        ([0, 11, 12, 13, 14], False),
        ([0, 10, 11, 12, 13, 14], True),
        ([0, 11, 12, 13, 14, 15], False),
    ],
)
def test_dead_is_who_was_silent_in_the_last_five_windows_within_a_week(
    connection: Writer, numbers: list[int], dead: bool
) -> None:
    assert silent_windows(connection, numbers) == ({SENSOR: "dead"} if dead else {})


def test_windows_in_which_it_did_not_take_part_do_not_keep_a_sensor_alive(connection: Writer) -> None:
    for number in range(8):
        hours = [5.0] * 5 if number in (3, 5) else [0.0] * 12
        report(connection, number, {SENSOR: hours, "40, -120": 10})
    assert faults(health_of(connection, 7)) == {SENSOR: "dead"}
    assert health_of(connection, 7)[SENSOR].reason == (
        "Has read below 1 for four days while its neighbours reached 11."
    )


@pytest.mark.parametrize(
    ("lively", "hour", "dead"), [(0, 1.0, False), (0, 0.99, True), (5, 1.0, False), (5, 0.99, True)]
)
def test_a_sensor_that_read_something_in_one_of_the_six_lives(
    connection: Writer, lively: int, hour: float, dead: bool
) -> None:
    for number in range(6):
        hours = [0.0] * 11 + [hour if number == lively else 0.5]
        report(connection, number, {SENSOR: hours, "40, -120": 10})
    assert faults(health_of(connection, 5)) == ({SENSOR: "dead"} if dead else {})


@pytest.mark.parametrize(("others", "dead"), [((5.0, 5.0), False), ((4.9, 5.1), False), ((4.9, 5.2), True)])
def test_the_middle_one_of_the_others_must_have_reached_more_than_five(
    connection: Writer, others: tuple[float, float], dead: bool
) -> None:
    for number in range(6):
        reached = {f"4{n}, -120": [1.0] * 11 + [highest] for n, highest in enumerate(others)}
        report(connection, number, {SENSOR: [0.0] * 12, **reached})
    assert faults(health_of(connection, 5)) == ({SENSOR: "dead"} if dead else {})


@pytest.mark.parametrize(
    ("once", "dead"), [(0, True), (1, False)], ids=["in the first of the five", "in the window before"]
)
def test_what_others_reached_since_the_first_of_the_five_counts(connection: Writer, once: int, dead: bool) -> None:
    for number in range(7):
        silent = {SENSOR: [0.0] * 12} if number else {}
        report(connection, number, {**silent, "40, -120": 10 if number == 1 - once else around(3)})
    assert faults(health_of(connection, 6)) == ({SENSOR: "dead"} if dead else {})


def test_only_those_who_take_part_now_are_asked_what_they_reached(connection: Writer) -> None:
    for number in range(6):
        report(connection, number, {SENSOR: [0.0] * 12, "40, -120": 30, "41, -120": around(2)})
    assert faults(health_of(connection, 5)) == {SENSOR: "dead"}
    for number in range(6, 12):
        report(connection, number, {SENSOR: [0.0] * 12, "40, -120": around(30)[:5], "41, -120": around(2)})
    # The other one has gone; the one that is left read 2 at most.
    assert faults(health_of(connection, 11)) == {}


def test_a_faulty_and_a_new_neighbour_are_asked_too(connection: Writer) -> None:
    for number in range(6):
        new = {"41, -120": 7} if number == 5 else {}
        report(connection, number, {SENSOR: [0.0] * 12, "40, -120": 5_000, **new})
    assert faults(health_of(connection, 5)) == {SENSOR: "dead", "40, -120": "impossible"}


def test_who_is_alone_is_not_dead(connection: Writer) -> None:
    for number in range(6):
        report(connection, number, {SENSOR: [0.0] * 12})
    assert faults(health_of(connection, 5)) == {}
