"""The level of a region at a moment and its hours, once more in plain Python, on sensors that report now and then."""

from datetime import datetime, timedelta
from itertools import takewhile
from random import Random
from statistics import fmean, median

from aqi_dagster.pipeline.aqi import corrected_pm25
from aqi_dagster.pipeline.health.hours import read_hours
from aqi_dagster.pipeline.health.judge_windows import judge_windows
from aqi_dagster.pipeline.health.present import judge_present
from aqi_dagster.pipeline.health.regional_hours import overwrite_open_hours, overwrite_regional_hours
from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.windows import WindowRange
from tests.support.health import REGION_NAME, Hourly, everywhere, report, window_at
from tests.support.messages import FIRST_WINDOW
from tests.support.tables import rows

HOUR = timedelta(hours=1)

MOMENT = window_at(1)

SMOKE = 35.5
"""Corrected ug/m3 from which on the air is unhealthy for sensitive groups, by EPA."""

AIRS = 25

HUMID = {"Humidity_%": "40"}

Corrected = dict[str, list[float | None]]
"""By sensor, what it read hour by hour, as EPA corrects it."""


def air(random: Random) -> dict[str, Hourly]:
    """What one to four sensors read in twelve hours: much the same, mostly near the border of smoke."""
    levels = [random.choice([30.0, 62.0, 66.0, 90.0]) for _ in range(12)]
    gaps = random.choice([0.0, 0.1, 0.5])
    return {
        f"45.{number}, -122": [
            None if random.random() < gaps else level * random.uniform(0.95, 1.05) for level in levels
        ]
        for number in range(1, random.choice([2, 3, 5]))
    }


def corrected(pm25: dict[str, Hourly]) -> Corrected:
    return {
        sensor: [None if value is None else corrected_pm25(round(value, 2), 40) for value in values]
        for sensor, values in pm25.items()
    }


def at(voting: Corrected, end: int) -> tuple[float | None, bool | None]:
    """Level and smoke of the three hours up to ``end``, of sensors that have all three."""
    three = [values[end - 3 : end] for values in voting.values()]
    whole = [[value for value in values if value is not None] for values in three if None not in values]
    if not whole:
        return None, None
    level = median(fmean(values) for values in whole)
    return level, level >= SMOKE if len(whole) > 1 else min(whole[0]) >= SMOKE


def medians(voting: Corrected) -> list[float | None]:
    by_hour = [[values[hour] for values in voting.values()] for hour in range(12)]
    known = [[value for value in values if value is not None] for values in by_hour]
    return [median(values) if values else None for values in known]


def began(levels: list[float | None]) -> int:
    """The hour in which the unbroken smoke of now began."""
    smoky = [level is not None and level >= SMOKE for level in levels]
    last = max((hour for hour in range(12) if smoky[hour]), default=9)
    first = last
    while first > 0 and smoky[first - 1]:
        first -= 1
    return first


def rounded(numbers: list[float | None]) -> list[float | None]:
    return [None if number is None else round(number, 6) for number in numbers]


def test_the_air_now_is_that_of_plain_python(connection: Writer) -> None:
    smoke: set[bool | None] = set()
    for seed in range(AIRS):
        pm25 = air(Random(seed))  # noqa: S311 (no secret)
        for table in ("readings", "sensors", "windows"):
            connection.execute(f"DELETE FROM {table}")
        report(connection, 0, pm25, **HUMID)
        presents, _ = judge_present(connection, MOMENT, FIRST_WINDOW, everywhere)
        values = corrected(pm25)
        if not any(value is not None for hours in values.values() for value in hours):
            assert presents == []
            continue
        (present,) = presents
        assert present.healthy == [s for s, hours in values.items() if sum(v is not None for v in hours) >= 6], seed
        voting = {sensor: values[sensor] for sensor in present.healthy}
        found = [at(voting, end) for end in range(12, 2, -1)]
        assert rounded(present.levels) == rounded([level for level, _ in found]), seed
        assert present.smoke == [is_smoke for _, is_smoke in found], seed
        now, before = found[0][0], found[3][0]
        assert rounded([present.trend]) == rounded([None if now is None or before is None else now - before]), seed
        # An hour lies between two moments without smoke.
        assert present.hours_below == len([*takewhile(lambda one: one is False, present.smoke)]) - 1, seed
        assert rounded(present.blocks) == rounded(medians(voting)[::-1]), seed
        reporting = [
            any(v is not None for hours in values.values() for v in hours[e - 3 : e]) for e in range(12, 2, -1)
        ]
        assert present.reporting == reporting, seed
        since = FIRST_WINDOW + began(medians(voting)) * HOUR if present.smoke[0] else None
        assert present.began == since, seed
        smoke |= set(present.smoke)
    assert smoke == {True, False, None}


_HOURS = "SELECT hour, round(level, 6), healthy FROM regional_hours ORDER BY hour"


def plain_hours(pm25: dict[str, Hourly], until: int) -> list[tuple[datetime, float, int]]:
    """The hours of the region: of sensors with six hours or more."""
    voting = {s: v for s, v in corrected(pm25).items() if sum(value is not None for value in v) >= 6}
    counts = [sum(values[hour] is not None for values in voting.values()) for hour in range(12)]
    levels = rounded(medians(voting))
    found = zip(range(until), levels, counts, strict=False)
    return [(FIRST_WINDOW + hour * HOUR, level, count) for hour, level, count in found if level is not None]


def test_the_hours_of_a_region_are_those_of_sensors_that_have_a_vote(connection: Writer) -> None:
    one = WindowRange(FIRST_WINDOW, FIRST_WINDOW)
    steady: list[float] = [60 + hour / 2 for hour in range(12)]
    pm25: dict[str, Hourly] = {f"45.{number}, -122": [value + number for value in steady] for number in range(1, 4)}
    pm25 |= {f"45.{hours}, -122": [*steady[:hours], *[None] * (12 - hours)] for hours in (5, 6)}
    report(connection, 0, pm25, **HUMID)
    judge_windows(connection, one, FIRST_WINDOW, everywhere, "regions")
    assert rows(connection, _HOURS) == plain_hours(pm25, 12)
    assert rows(connection, "SELECT DISTINCT region FROM regional_hours") == [(REGION_NAME,)]
    _, health = judge_present(connection, MOMENT, FIRST_WINDOW, everywhere)
    overwrite_open_hours(connection, one, FIRST_WINDOW + timedelta(hours=7, minutes=59), health)
    assert rows(connection, _HOURS) == plain_hours(pm25, 7)
    overwrite_regional_hours(connection, one, read_hours(connection, one), health)
    assert rows(connection, _HOURS) == plain_hours(pm25, 12)
    for mark in ("is_new", "on_probation", "in_dispute", "is_local", "unlike_neighbours"):
        place = health.column_names.index(mark)
        marked = health.set_column(place, mark, [[True] * health.num_rows])
        overwrite_regional_hours(connection, one, read_hours(connection, one), marked)
        assert rows(connection, _HOURS) == [], mark
