"""Headlines that say whether to believe a verdict."""

from dataclasses import replace

from aqi_dagster.pipeline.alerts.wording import reason, title
from tests.support.alert_examples import SMOKE

FAILED = replace(
    SMOKE,
    sensors=["45.1, -122"],
    variation=0.0,
    broken_sensors=["45.1, -122"],
    implausible=["45.1, -122: Counts as many particles below 1 um as below 10: its laser has failed."],
    rules="notebook",
)


def test_smoke_that_only_a_failed_sensor_saw_is_doubtful() -> None:
    assert title(FAILED) == "Suspected Smoke, Doubtful"
    assert "the only sensor has failed (Counts as many particles below 1 um" in reason(FAILED)
    assert "steady" not in reason(FAILED)


def test_smoke_that_a_sound_sensor_saw_too_is_not_doubtful() -> None:
    assert title(replace(FAILED, sensors=["45.1, -122", "45.2, -122"])) == "Suspected Smoke Event"


def test_smoke_by_healthy_sensors_is_not_doubtful_whatever_sensor_has_anomalies() -> None:
    """The network rules do not look at anomalies: that only a failed sensor has some casts no doubt."""
    why = "The middle one of 5 healthy sensors averaged 88 ug/m3 (corrected), 35.5 or more."
    smoke = replace(FAILED, rules="network", level=88.0, reason=why, confidence="high")
    assert title(smoke) == "Suspected Smoke Event"
    assert reason(smoke) == f"t{why[1:-1]}"


def test_a_sensor_that_is_well_says_so_although_it_has_no_vote_yet() -> None:
    well = replace(SMOKE, kind="sensor", verdict="well", reason="Looks right, but had failed in the seven days before.")
    assert reason(well) == "no fault in the last two windows in which it took part"
