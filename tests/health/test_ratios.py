"""A sensor beside the others of its region over two weeks."""

import pytest

from aqi_dagster.pipeline.store.sql import Writer
from tests.support.health import health_of, report

A, B, C, D = "39.0, -120.0", "39.5, -120.0", "40.0, -120.0", "40.5, -120.0"


@pytest.mark.parametrize(("last", "unlike"), [(28, True), (29, False)])
def test_six_ratios_within_two_weeks_are_needed(connection: Writer, last: int, unlike: bool) -> None:
    for number in range(last + 1):
        faded = {A: 10} if number in (0, 10, 12, 14, 20, last) else {}
        report(connection, number, {B: 50, C: 50, D: 50, **faded})
    assert health_of(connection, last)[A].unlike_neighbours == unlike


def test_one_that_reads_several_times_as_much_is_unlike(connection: Writer) -> None:
    for number in range(8):
        report(connection, number, {A: 55 if number < 7 else 19, B: 10, C: 10, D: 10})
    assert [health_of(connection, number)[A].unlike_neighbours for number in (4, 5, 6, 7)] == [False, True, True, False]
    row = health_of(connection, 6)[A]
    assert (row.ratio_up, row.ratio_down) == (pytest.approx(5.5, abs=0.01), pytest.approx(5.5, abs=0.01))
    assert row.reason == "Has read 5.5 times as much as its neighbours, by the middle of its last 6 windows."


def test_ratios_have_floors(connection: Writer) -> None:
    report(connection, 0, {A: 8, B: 4, C: 4, D: 4})
    report(connection, 1, {A: 8, B: 9.9, C: 9.9, D: 9.9})
    report(connection, 2, {A: 8, B: 10.1, C: 10.1, D: 10.1})
    first, second, third = (health_of(connection, number)[A] for number in range(3))
    assert (first.ratio_down, first.ratio_up) == (None, pytest.approx(8 / 5))
    assert (second.ratio_down, second.ratio_up) == (None, pytest.approx(8 / 9.9))
    assert (third.ratio_down, third.ratio_up) == (pytest.approx(8 / 10.1), pytest.approx(8 / 10.1))


def test_one_that_fades_stays_unlike_in_clean_air(connection: Writer) -> None:
    for number in range(7):
        others = 50 if number < 6 else 8
        report(connection, number, {A: others / 6, B: others, C: others, D: others})
    health = health_of(connection, 6)
    assert (health[A].ratio_down, health[A].unlike_neighbours) == (None, True)


def test_one_that_recovers_is_like_the_others_at_once(connection: Writer) -> None:
    for number in range(7):
        report(connection, number, {A: 10 if number < 6 else 26, B: 50, C: 50, D: 50})
    assert health_of(connection, 5)[A].unlike_neighbours
    assert not health_of(connection, 6)[A].unlike_neighbours


def test_ratios_are_taken_of_low_ones_but_not_beside_two(connection: Writer) -> None:
    report(connection, 0, {A: 10, B: 100, C: 100, D: 100})
    report(connection, 1, {A: 10, B: 100, C: 100})
    first, second = (health_of(connection, number)[A] for number in range(2))
    assert (first.fault, first.ratio_down, first.unlike_neighbours) == ("low", pytest.approx(0.1), False)
    assert (second.fault, second.ratio_down, second.neighbours_pm25) == ("low", None, None)


def test_health_depends_on_what_came_21_days_before_and_on_nothing_earlier(connection: Writer) -> None:
    for number in range(43):
        faded = {A: 10} if number in (14, 22, 30, 34, 38, 42) else {}
        report(connection, number, {B: 50, C: 50, D: 50, **faded})
    # In window 14 it is new, so it has five ratios in all.
    assert not health_of(connection, 42)[A].unlike_neighbours
    report(connection, 0, {A: 10})
    assert health_of(connection, 42)[A].unlike_neighbours


def test_beside_fewer_than_three_healthy_ones_nobody_is_asked(connection: Writer) -> None:
    for number in range(6):
        report(connection, number, {A: 10, B: 50, C: 50, D: 50})
    report(connection, 6, {A: 10, B: 50, C: 5_000, D: 5_000})
    assert health_of(connection, 5)[A].unlike_neighbours
    row = health_of(connection, 6)[A]
    assert (row.unlike_neighbours, row.is_healthy, row.ratio_up) == (False, True, None)
