"""Checks of a run of some windows name what others still hold, of settings before and of readings never scored."""

from pathlib import Path

import dagster as dg
import pytest

from aqi_dagster.windows import WINDOW_LENGTH, window_key
from tests.support.jobs import MicroBatch
from tests.support.topics import Topic
from tests.support.window_readings import KEYS, STARTS, readings


@pytest.fixture
def job(topic: Topic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance) -> MicroBatch:
    """The job after three windows in which three sensors reported."""
    job = MicroBatch(topic, tmp_path, monkeypatch, instance)
    topic.send([one for start in STARTS[:3] for one in readings(start)])
    job.run(KEYS[0], KEYS[2])
    return job


def told(job: MicroBatch, first: str, last: str) -> dict[str, str]:
    """What the checks of a run of these windows say that did not pass, by name."""
    found = job.checks(first, last)
    return {name: check.description or "" for name, check in found.items() if not check.passed}


@pytest.mark.parametrize("setting", ["AQI_SCORE_THRESHOLD=0.6", "AQI_PM25_THRESHOLD=5", "AQI_REGION=Tahoe Basin"])
def test_a_run_after_a_changed_setting_names_the_windows_before_it(
    job: MicroBatch, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    name, _, value = setting.partition("=")
    monkeypatch.setenv(name, value)
    words = f"2 windows were classified by other settings: materialize {KEYS[0]} to {KEYS[1]} in one run."
    assert told(job, KEYS[2], KEYS[2])["verdicts_up_to_date"] == words
    # The health of sensors looks back to what was judged in those before.
    first = KEYS[0] if name == "AQI_REGION" else KEYS[1]
    told(job, KEYS[0], KEYS[1])
    assert told(job, first, KEYS[2]) == {}


def test_readings_of_a_window_that_was_passed_over_are_named(job: MicroBatch) -> None:
    later = window_key(STARTS[3] + WINDOW_LENGTH)
    job.topic.send(readings(STARTS[3] + WINDOW_LENGTH))
    assert "scores_up_to_date" not in told(job, later, later)
    job.topic.send(readings(STARTS[3]))
    words = f"72 readings that were never scored: materialize {KEYS[3]} to {later} in one run."
    assert told(job, KEYS[0], KEYS[2])["scores_up_to_date"] == words
    assert told(job, KEYS[3], later) == {}
