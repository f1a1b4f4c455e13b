"""Backfills of some assets alone: they mark nothing as done that was not, and the schedule runs it afterwards."""

from pathlib import Path

import dagster as dg
import pytest

from aqi_dagster.errors import UnjudgedWindowsError, UnscoredWindowsError
from aqi_dagster.partitions import FIRST_WINDOW
from aqi_dagster.pipeline.store.due import due_ranges
from aqi_dagster.windows import WindowRange
from tests.support.jobs import MicroBatch
from tests.support.tables import rows
from tests.support.topics import Topic
from tests.support.window_readings import KEYS, STARTS, readings

ALL = WindowRange(STARTS[0], STARTS[3])


@pytest.fixture
def job(topic: Topic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance) -> MicroBatch:
    """The job on a topic with readings of four windows, and nothing run."""
    topic.send([one for start in STARTS for one in readings(start)])
    return MicroBatch(topic, tmp_path, monkeypatch, instance)


def tick(job: MicroBatch) -> None:
    """Run what the schedule asks for once all windows have ended."""
    with job.store.reader() as connection:
        due = due_ranges(connection, ALL)
    for windows in due:
        job.run(*windows.keys)


def finished(job: MicroBatch) -> list[tuple[int, int, bool]]:
    with job.store.reader() as connection:
        return rows(connection, "SELECT readings, scored, classified = revision FROM windows ORDER BY window_start")


@pytest.mark.parametrize("asset", ["regional_windows", "anomalies"])
def test_what_was_never_scored_is_not_classified_but_named_and_the_schedule_runs_it(
    job: MicroBatch, asset: str
) -> None:
    job.run(KEYS[0], KEYS[0])
    done = job.instance.get_materialized_partitions(dg.AssetKey(asset))
    with pytest.raises(
        UnscoredWindowsError, match=f"Materialize the range from {KEYS[1]} to {KEYS[3]} in one run"
    ) as told:
        job.run(KEYS[0], KEYS[3], [asset])
    assert told.value.windows == WindowRange(STARTS[1], STARTS[3])
    assert job.instance.get_materialized_partitions(dg.AssetKey(asset)) == done == {KEYS[0]}
    tick(job)
    assert finished(job) == [(72, 72, True)] * 4


def test_scores_of_windows_before_anything_was_pulled_do_not_pass_for_done(job: MicroBatch) -> None:
    job.run(KEYS[0], KEYS[3], ["scored_readings", "sensor_health", "anomalies", "regional_windows"])
    with pytest.raises(UnscoredWindowsError, match=f"Materialize the range from {KEYS[0]} to {KEYS[3]} in one run"):
        job.run(KEYS[3], KEYS[3])
    tick(job)
    assert finished(job) == [(72, 72, True)] * 4


def test_the_network_rules_classify_nothing_whose_sensors_were_never_judged(
    job: MicroBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AQI_RULES", "network")
    job.run(KEYS[0], KEYS[3], ["readings", "scored_readings", "anomalies"])
    with pytest.raises(UnjudgedWindowsError, match=f"that of {KEYS[0]} to {KEYS[2]} was never judged") as told:
        job.run(KEYS[0], KEYS[2], ["regional_windows"])
    job.run(*told.value.windows.keys, ["sensor_health", "regional_windows"])
    tick(job)
    assert finished(job) == [(72, 72, True)] * 4
    assert STARTS[0] == FIRST_WINDOW
