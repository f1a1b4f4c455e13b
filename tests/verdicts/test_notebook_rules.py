"""Smoke or malfunction: the rules at their borders, and what a regional window tells."""

from datetime import datetime, timedelta

import pytest
from scipy.stats import variation

from aqi_dagster.pipeline.verdicts.anomaly_summary import NO_ANOMALIES, Anomaly, AnomalySummary
from aqi_dagster.pipeline.verdicts.classify_windows import judge_regions
from aqi_dagster.pipeline.verdicts.notebook_rules import smoke_or_malfunction
from aqi_dagster.pipeline.verdicts.regional_window import RegionalWindow
from tests.support.messages import at

WINDOW = at("2022-07-18 12:00")


@pytest.mark.parametrize(
    ("sensors", "values", "verdict"),
    [
        (1, [500.0], "malfunction"),
        (1, [500.0] * 9, "malfunction"),
        (1, [500.0] * 10, "smoke"),
        (1, [70.0, 130.0] * 5, "smoke"),
        (1, [69.9, 130.0] * 5, "malfunction"),
        (1, [70.0, 130.0] * 4 + [100.0], "malfunction"),
        (1, [500.0] * 10 + [5000.0], "malfunction"),
        (2, [51.0, 5000.0], "smoke"),
        (2, [51.0, 5000.0] * 50, "smoke"),
        (25, [500.0] * 25, "smoke"),
    ],
)
def test_one_sensor_needs_ten_anomalies_of_little_scatter_and_two_sensors_nothing(
    sensors: int, values: list[float], verdict: str
) -> None:
    assert smoke_or_malfunction(sensors, values)[0] == verdict


def test_the_border_of_scatter_is_included_in_smoke() -> None:
    """The values of the case above that is smoke have a variation of exactly 0.3."""
    assert smoke_or_malfunction(1, [70.0, 130.0] * 5) == ("smoke", 0.3)


@pytest.mark.parametrize(("sensors", "count", "told"), [(1, 9, False), (1, 10, True), (2, 10, False)])
def test_the_variation_is_told_only_where_the_rule_looks_at_it(sensors: int, count: int, told: bool) -> None:
    values = [300.0 + 17 * n for n in range(count)]
    assert smoke_or_malfunction(sensors, values)[1] == (float(variation(values)) if told else None)


def anomalies(sensor: str, minutes: list[int], pm25: float = 500.0) -> list[Anomaly]:
    return [Anomaly(sensor, WINDOW + timedelta(minutes=minute), pm25) for minute in minutes]


def test_a_regional_window_tells_its_sensors_its_earliest_event_and_its_greatest_value() -> None:
    found = [*anomalies("b", [30, 20]), *anomalies("a", [10, 40], 800.0), *anomalies("b", [50], 300.0)]
    expected = RegionalWindow(
        region="Lake Tahoe",
        window_start=WINDOW,
        window_end=at("2022-07-19 00:00"),
        sensors=["a", "b"],
        count_sensors=2,
        count_anomalies=5,
        min_event=WINDOW + timedelta(minutes=10),
        max_pm25=800.0,
        variation=None,
        verdict="smoke",
        broken_sensors=[],
    )
    assert judge_regions(WINDOW, {"Lake Tahoe": AnomalySummary.of(found)}) == [expected]
    assert judge_regions(WINDOW, {"Lake Tahoe": AnomalySummary.of(found[::-1])}) == [expected]


def test_the_order_of_the_anomalies_does_not_change_the_variation_by_a_bit() -> None:
    found = [Anomaly("a", WINDOW + timedelta(minutes=n), 300 + 0.1 * n**2) for n in range(40)]
    (forwards,) = judge_regions(WINDOW, {"x": AnomalySummary.of(found)})
    (backwards,) = judge_regions(WINDOW, {"x": AnomalySummary.of(found[::-1])})
    assert forwards.variation is not None
    assert forwards == backwards


def test_each_region_is_judged_by_its_own_sensors() -> None:
    south = [*anomalies("south1", [1]), *anomalies("south2", [2])]
    north = anomalies("north1", list(range(9)))
    windows = judge_regions(WINDOW, {"S": AnomalySummary.of(south), "N": AnomalySummary.of(north)})
    assert [(w.region, w.sensors, w.verdict) for w in windows] == [
        ("N", ["north1"], "malfunction"),
        ("S", ["south1", "south2"], "smoke"),
    ]


@pytest.mark.parametrize("window", [WINDOW, at("2022-07-19")])
def test_a_window_without_anomalies_has_no_regional_window(window: datetime) -> None:
    assert judge_regions(window, {"Lake Tahoe": NO_ANOMALIES}) == judge_regions(window, {}) == []
