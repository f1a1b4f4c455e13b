"""Verdicts by one sensor or two in dispute, and the regions that they are on."""

import pytest

from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.pipeline.verdicts.network_rules import judge
from tests.support.health import REGION_NAME, around, health_of, judgement_of, report, window_at

A, B, C = "39.10, -120.10", "39.20, -120.30", "39.40, -120.00"

OTHERS = ["38.0, -120", "38.2, -120", "38.4, -120", "38.6, -120", "38.8, -120"]


@pytest.mark.parametrize(("smoky", "verdict", "confidence"), [(6, "smoke", "low"), (5, "undecided", None)])
def test_one_sensor_alone_must_see_smoke_for_six_hours(
    connection: Writer, smoky: int, verdict: str, confidence: str | None
) -> None:
    report(connection, 0, {A: [*around(300)[:smoky], *around(5)[smoky:]]})
    found = judgement_of(connection, 0)
    assert found is not None
    assert (found.verdict, found.confidence, found.healthy_sensors) == (verdict, confidence, [A])
    assert f"{smoky} of its hours had 35.5 or more" in found.reason


def test_of_a_pair_in_dispute_the_higher_must_see_smoke_for_six_hours(connection: Writer) -> None:
    report(connection, 0, {A: 18, B: [*around(1_900)[:5], *around(5)[5:]]})
    found = judgement_of(connection, 0)
    assert found is not None
    assert (found.verdict, found.confidence, found.broken_sensors) == ("undecided", None, [])
    assert "but only 5 of its hours had 35.5 or more" in found.reason


def test_a_judgement_looks_at_its_own_region_and_window_alone(connection: Writer) -> None:
    def region(sensor: str) -> str:
        return REGION_NAME if sensor in (A, B, C) else "Reno"

    report(connection, 0, {A: 484, B: 450, C: 616, OTHERS[0]: 5_000, OTHERS[1]: 6, OTHERS[2]: 6})
    rows = list(health_of(connection, 0, region).values())
    assert {row.sensor: row.fault for row in rows if row.fault is not None} == {OTHERS[0]: "impossible"}
    tahoe, reno = (judge(name, window_at(0), rows) for name in (REGION_NAME, "Reno"))
    assert tahoe is not None
    assert (tahoe.verdict, tahoe.healthy_sensors, tahoe.broken_sensors) == ("smoke", [A, B, C], [])
    assert reno is not None
    assert (reno.verdict, reno.healthy_sensors, reno.broken_sensors) == ("malfunction", OTHERS[1:3], OTHERS[:1])
    assert judge(REGION_NAME, window_at(1), rows) is None
