"""The network rules of the pipeline beside a slow, separate reading of them, on air and faults at random."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqi_dagster.pipeline.health.health_rows import judge_health
from aqi_dagster.pipeline.health.health_table import HEALTH_SCHEMA, SensorHealth, sensor_health
from aqi_dagster.pipeline.verdicts.network_rules import assess, judge
from tests.support.health import REGION_NAME, window_at
from tests.support.plain_rules import Air, Hour, PlainHealth, PlainRules

PLACES = [
    "39.1, -120.1",
    "39.11, -120.11",
    "39.5, -120.1",
    "39.51, -120.11",
    "40.1, -120.1",
    "40.5, -120.1",
    "41, -121",
]

Hours = list[Hour]


def like_air(factor: float, hours: int = 12, second: float | None = None, share: float | None = 0.6) -> Any:
    """A sensor that reads ``factor`` times the air, in the first ``hours``; its second laser that much of the first."""

    def read(air: float, place: int) -> Hours:
        return [
            varied(air * factor, hour, place, share, None if second is None else air * factor * second)
            for hour in range(hours)
        ]

    return read


def varied(mean: float, hour: int, place: int, share: float | None = None, second: float | None = None) -> Hour:
    """An hour around ``mean`` that differs from others by percents."""
    value = mean * (1 + (hour - 5.5) / 100 + place / 1000)
    humidity = [None, 30.0, 80.0, 120.0][(hour + place) % 4]
    return Hour(value, value * 0.9, value * 1.1, humidity, share, second)


def always(value: float, hours: int = 12, share: float | None = 0.6) -> Any:
    """A sensor that reads ``value`` and nothing else, whatever the air."""
    return lambda _air, _place: [Hour(value, value, value, 50.0, share)] * hours


def sometimes(value: float, hours: int, second: float | None = None, share: float | None = 0.6) -> Any:
    """A sensor that reads ``value`` for some hours and the air in the others."""

    def read(air: float, place: int) -> Hours:
        return [
            varied(value if hour < hours else air, hour, place, share, second if hour < hours else air)
            for hour in range(12)
        ]

    return read


KINDS: Mapping[str, Any] = {
    "healthy": like_air(1),
    "healthy, two lasers": like_air(1, second=1.1),
    "silent": lambda _air, _place: [],
    "one hour": like_air(1, hours=1),
    "five hours": like_air(1, hours=5),
    "six hours": like_air(1, hours=6),
    "faded": like_air(0.15),
    "a fifth": like_air(0.2),
    "gained": like_air(6),
    "burning": like_air(60, second=0.9),
    "lasers apart": like_air(8, second=0.3),
    "nothing": always(0.0),
    "next to nothing": like_air(0.01),
    "stuck low": always(0.5),
    "stuck high": always(300.0),
    "failed": always(5_000.0, share=1.0),
    "failed for an hour": always(5_000.0, hours=1),
    "flat": sometimes(900.0, 7, share=0.95),
    "high for two hours": sometimes(2_500.0, 2),
    "high for two hours, two lasers": sometimes(2_500.0, 2, second=1_500.0),
    "one impossible hour": sometimes(30_336.0, 1),
    "local": sometimes(900.0, 12),
}


@st.composite
def airs(draw: st.DrawFn) -> Air:
    """Up to three weeks of a region: its air, and sensors that go from one state to the next."""
    length = draw(st.integers(1, 44))
    levels = draw(runs(st.sampled_from([0.5, 5.0, 12.0, 45.0, 80.0, 300.0]), length))
    sensors = draw(st.lists(st.sampled_from(PLACES), min_size=1, unique=True))
    states = {sensor: draw(runs(st.sampled_from(sorted(KINDS)), length)) for sensor in sensors}
    air = {}
    for number in range(length):
        hours = {s: KINDS[states[s][number]](levels[number], place) for place, s in enumerate(sensors)}
        if any(hours.values()):
            air[window_at(number)] = {sensor: those for sensor, those in hours.items() if those}
    return air


def runs(values: st.SearchStrategy[Any], length: int) -> st.SearchStrategy[list[Any]]:
    """A list of that length in which a value stays for a while."""
    pieces = st.lists(st.tuples(values, st.integers(1, 16)), min_size=1, max_size=8)
    return pieces.map(lambda drawn: ([value for value, times in drawn for _ in range(times)] * length)[:length])


def hours_table(window: datetime, hours: Mapping[str, Hours]) -> pa.Table:
    """As the pipeline reads them from the store."""
    rows = [
        {
            "sensor": sensor,
            "window_start": window,
            "hour": window + timedelta(hours=number),
            "mean_pm25": hour.mean,
            "least_pm25": hour.least,
            "greatest_pm25": hour.greatest,
            "humidity": hour.humidity,
            "fine_share": hour.share,
            "mean_pm25_b": hour.second,
        }
        for sensor, those in hours.items()
        for number, hour in enumerate(those)
    ]
    numbers = ["mean_pm25", "least_pm25", "greatest_pm25", "humidity", "fine_share", "mean_pm25_b"]
    moments = [("window_start", pa.timestamp("us")), ("hour", pa.timestamp("us"))]
    return pa.Table.from_pylist(
        rows, pa.schema([("sensor", pa.string()), *moments, *((name, pa.float64()) for name in numbers)])
    )


def as_plain(row: SensorHealth) -> PlainHealth:
    return PlainHealth(
        fault=row.fault,
        new=row.is_new,
        on_probation=row.on_probation,
        in_dispute=row.in_dispute,
        local=row.is_local,
        unlike=row.unlike_neighbours,
        healthy=row.is_healthy,
        down=row.ratio_down,
        up=row.ratio_up,
    )


def assert_equal(found: object, expected: object, what: str) -> None:
    """Sums of floats may differ by a last digit; nothing else may."""
    assert found == (pytest.approx(expected, rel=1e-12) if isinstance(expected, float) else expected), what


@settings(deadline=None, max_examples=60)
@given(air=airs())
def test_both_readings_of_the_rules_agree_in_every_window(air: Air) -> None:
    plain = PlainRules(air)
    history = HEALTH_SCHEMA.empty_table()
    for window, hours in air.items():
        table = judge_health(window, hours_table(window, hours), history, lambda _: REGION_NAME)
        history = pa.concat_tables([history, table])
        rows = sensor_health(table)
        found = {row.sensor: as_plain(row) for row in rows}
        for sensor, expected in plain.health(window).items():
            for name, value in asdict(expected).items():
                assert_equal(getattr(found[sensor], name), value, f"{name} of {sensor} in {window}")
        verdict = plain.judge(window)
        judgement = judge(REGION_NAME, window, rows)
        assert_equal(assess(rows).level, verdict.level, f"level in {window}")
        assert (judgement and (judgement.verdict, judgement.confidence)) == (
            verdict.verdict and (verdict.verdict, verdict.confidence)
        )
