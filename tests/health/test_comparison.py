"""A sensor beside the others of its region in one window."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqi_dagster.pipeline.health.by_region import Neighbourhoods
from aqi_dagster.pipeline.health.comparison import distance_km
from aqi_dagster.pipeline.store.sql import Writer
from tests.support.health import around, everywhere, faults, health_of, healthy, judgement_of, report

A, B, C, D = "39.0, -120.0", "39.5, -120.0", "40.0, -120.0", "40.5, -120.0"


@pytest.mark.parametrize(
    ("lower", "higher", "disputed"), [(20, 125, False), (20, 125.2, True), (100, 499, False), (100, 501, True)]
)
def test_two_are_in_dispute_above_five_times_the_lower(
    connection: Writer, lower: float, higher: float, disputed: bool
) -> None:
    report(connection, 0, {A: higher, B: lower})
    health = health_of(connection, 0)
    assert [row.in_dispute for row in health.values()] == [disputed] * 2
    assert healthy(health) == ([] if disputed else [A, B])


@pytest.mark.parametrize(
    ("values", "found"),
    [
        # Of two others, low asks the lower one, and high the higher one.
        ((11.9, 60, 300), {A: "low"}),
        ((12.1, 60, 300), {}),
        ((11.9, 59, 290), {}),
        ((124, 25, 5), {}),
        ((126, 25, 5), {A: "high"}),
        ((501, 100, 25), {A: "high"}),
        ((499, 100, 25), {}),
        # Of three others, both ask the middle one.
        ((11.9, 1, 60, 120), {A: "low", B: "low"}),
        ((11.9, 30, 60, 140), {A: "low"}),
        ((501, 5, 100, 400), {A: "high", B: "low"}),
        ((499, 5, 100, 400), {B: "low"}),
    ],
)
def test_who_is_low_or_high(connection: Writer, values: tuple[float, ...], found: dict[str, str]) -> None:
    report(connection, 0, dict(zip([A, B, C, D], values, strict=False)))
    assert faults(health_of(connection, 0)) == found


def test_equal_means_are_each_others_neighbours(connection: Writer) -> None:
    report(connection, 0, dict.fromkeys([A, B, C, D], 150))
    health = health_of(connection, 0)
    assert {row.neighbours_pm25 for row in health.values()} == {health[A].mean_pm25}
    assert healthy(health) == [A, B, C, D]


def test_one_on_probation_is_compared_with_two_even_in_dispute(connection: Writer) -> None:
    report(connection, 0, {A: 5_000, B: 70, C: 70})
    report(connection, 1, {A: 10, B: 70, C: 400})
    health = health_of(connection, 1)
    assert faults(health) == {A: "low"}
    assert [sensor for sensor, row in health.items() if row.in_dispute] == [B, C]


def test_one_on_probation_beside_a_single_one_is_not_compared(connection: Writer) -> None:
    report(connection, 0, {A: 5_000, B: 70})
    report(connection, 1, {A: 1_900, B: 70})
    health = health_of(connection, 1)
    assert (health[A].on_probation, health[A].fault, health[A].in_dispute) == (True, None, False)
    assert healthy(health) == [B]


def test_one_on_probation_is_never_local_and_makes_nobody_local(connection: Writer) -> None:
    near = "39.01, -120.0"
    others = {f"3{n}.5, -110": 5.0 for n in range(5)}
    report(connection, 0, {A: 5_000, near: 5, **others})
    report(connection, 1, {A: 700, near: 700, **others}, {A: 700})
    assert faults(health_of(connection, 1)) == {A: "high", near: "high"}


def test_one_hour_is_enough_to_put_a_sensor_on_probation_and_it_may_be_new_as_well(
    connection: Writer,
) -> None:
    report(connection, 0, {A: [5_000.0], B: 5, C: 5})
    report(connection, 1, {A: 700, B: 5, C: 5})
    health = health_of(connection, 1)
    assert (health[A].on_probation, health[A].is_new, health[A].fault) == (True, True, "high")


def test_disagreeing_low_and_dead_sensors_are_on_no_probation(connection: Writer) -> None:
    report(connection, 0, {A: 18, B: 484, C: 616, D: 400}, {D: 10})
    assert faults(health_of(connection, 0)) == {A: "low", D: "disagree"}
    report(connection, 1, {A: 500, B: 484, C: 616, D: 400})
    assert healthy(health_of(connection, 1)) == [A, B, C, D]


@pytest.mark.parametrize(("gap", "is_new"), [(14, False), (15, True)])
def test_new_is_who_took_part_in_no_window_of_the_seven_days_before(connection: Writer, gap: int, is_new: bool) -> None:
    report(connection, 0, {A: 5, B: 5})
    for number in range(1, gap):
        # A few hours are no part.
        report(connection, number, {A: around(5)[:5], B: 5})
    report(connection, gap, {A: 5, B: 5})
    health = health_of(connection, gap)
    assert (health[A].is_new, health[A].is_healthy) == (is_new, not is_new)
    assert not health[B].is_new


def test_after_a_gap_of_all_nobody_is_new(connection: Writer) -> None:
    report(connection, 0, {A: 5, B: 5})
    report(connection, 40, {A: 5, B: 5})
    assert healthy(health_of(connection, 40)) == [A, B]


@pytest.mark.parametrize(
    ("north", "local"), [("39.0898, -120.0", True), ("39.0901, -120.0", False)], ids=["9.99 km", "10.02 km"]
)
def test_local_are_two_within_ten_kilometres(connection: Writer, north: str, local: bool) -> None:
    report(connection, 0, {A: 700, north: 700, **{f"3{n}.5, -110": 5.0 for n in range(5)}})
    health = health_of(connection, 0)
    assert [health[sensor].is_local for sensor in (A, north)] == [local] * 2
    assert faults(health) == ({} if local else {A: "high", north: "high"})


@pytest.mark.parametrize(
    ("second", "local"),
    [
        ([600.0] * 12, True),
        ([500.0] * 12, False),
        ([700.0] * 6 + [100.0] * 5, True),
        ([700.0] * 5 + [100.0] * 5, False),
        ([700.0], True),
    ],
)
def test_local_is_one_whose_lasers_agree_in_more_than_half_of_the_hours_with_both(
    connection: Writer, second: list[float], local: bool
) -> None:
    first = [700.0, 735.0] * 6
    report(connection, 0, {A: first, **{f"3{n}.5, -110": 5.0 for n in range(5)}}, {A: second})
    health = health_of(connection, 0)
    # Where they are far apart in half of the hours they disagree, which comes first.
    assert health[A].is_local == local
    assert (health[A].fault is None) == local


def test_sensors_of_another_region_make_nobody_local(connection: Writer) -> None:
    near = "39.01, -120.0"
    others = {f"3{n}.{tenth}, -110": 5.0 for n in range(3) for tenth in (1, 5)}
    report(connection, 0, {A: 700, near: 700, **others})
    beyond = {near, *(sensor for sensor in others if ".1" in sensor)}
    assert faults(health_of(connection, 0)) == {}
    health = health_of(connection, 0, lambda sensor: "Reno" if sensor in beyond else "Tahoe")
    assert faults(health) == {A: "high", near: "high"}


def test_places_on_both_sides_of_the_date_line_are_near() -> None:
    assert distance_km("0, 179.99", "0, -179.99") == pytest.approx(2.22, abs=0.01)
    assert distance_km("39, -120", "39, -120") == 0
    assert distance_km("39, -120", "-39, 60") == pytest.approx(20_015, abs=1)
    assert distance_km("39, -120", "nowhere") is None


def test_regions_are_judged_apart(connection: Writer) -> None:
    report(connection, 0, {A: 18, B: 484, C: 616, D: 500})
    assert faults(health_of(connection, 0)) == {A: "low"}
    alone = health_of(connection, 0, lambda sensor: "Reno" if sensor == A else "Tahoe")
    assert faults(alone) == {}
    assert [row.region for row in alone.values()] == ["Reno", "Tahoe", "Tahoe", "Tahoe"]


def test_who_has_no_known_region_is_neither_judged_nor_compared(connection: Writer) -> None:
    report(connection, 0, {A: 484, B: 484, C: 616, D: 5_000})
    health = health_of(connection, 0, lambda sensor: None if sensor in (B, D) else "Lake Tahoe")
    assert faults(health) == {}
    assert healthy(health) == [A, C]
    assert (health[D].region, health[D].hours, health[D].mean_pm25) == (None, 12, pytest.approx(5_000))
    assert health[D].reason == "Its region is not known yet, so it was not judged."
    # What it read counts once the region is known: it took part, and is not new.
    report(connection, 1, {A: 484, B: 484, C: 616, D: 484})
    assert healthy(health_of(connection, 1)) == [A, B, C]
    assert judgement_of(connection, 1) is not None


@given(
    values=st.lists(st.floats(0, 1e4), min_size=1, max_size=12),
    marks=st.lists(st.booleans(), min_size=12, max_size=12),
    regions=st.lists(st.sampled_from(["Reno", "Tahoe", None]), min_size=12, max_size=12),
)
def test_the_median_of_others_is_the_median_of_others(
    values: list[float], marks: list[bool], regions: list[str | None]
) -> None:
    size = len(values)
    members = np.array(marks[:size])
    found = Neighbourhoods.of(regions[:size]).median_of_others(np.array(values), members)
    for row in range(size):
        others = [values[n] for n in range(size) if n != row and members[n] and regions[n] == regions[row]]
        assert found[row] == (pytest.approx(np.median(others)) if others else pytest.approx(np.nan, nan_ok=True))


def test_a_window_without_readings_has_no_health(connection: Writer) -> None:
    assert health_of(connection, 2, everywhere) == {}
    assert judgement_of(connection, 2) is None
