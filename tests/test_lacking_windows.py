"""A scheduled run that was refused is answered with the windows that the store lacks."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.definitions.sensor_definition import SensorExecutionData

from aqi_dagster.automation import lacking_windows, twice_a_day
from aqi_dagster.definitions import defs
from aqi_dagster.errors import UnscoredWindowsError
from aqi_dagster.partitions import FIRST_WINDOW, range_tags
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.detection.scoring import score_windows
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.resources.warehouse import WarehouseResource
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, parse_key, window_key
from tests.support.jobs import MicroBatch
from tests.support.messages import message, take_in
from tests.support.tables import rows
from tests.support.topics import Topic
from tests.support.window_readings import readings

KEYS = [window_key(FIRST_WINDOW + number * WINDOW_LENGTH) for number in range(8)]


@pytest.fixture
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance with storage, as schedules and sensors open it by reference."""
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as instance:
        yield instance


def requested(request: dg.RunRequest) -> tuple[str, str]:
    return request.tags["dagster/asset_partition_range_start"], request.tags["dagster/asset_partition_range_end"]


NEWEST = [window_key(FIRST_WINDOW + number * WINDOW_LENGTH) for number in (500, 501)]


SCHEDULED = {"dagster/schedule_name": twice_a_day.name}


@pytest.fixture
def job(topic: Topic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance) -> MicroBatch:
    """The job after its newest windows were run, before which there were no readings."""
    job = MicroBatch(topic, tmp_path, monkeypatch, instance)
    topic.send([one for key in NEWEST for one in readings(parse_key(key))])
    job.run(*NEWEST)
    return job


def fail(job: MicroBatch, tags: dict[str, str]) -> str:
    """Run the newest windows again, which must fail; returns the run's id."""
    definition = defs().resolve_job_def("micro_batch")
    run_id = str(uuid4())
    with pytest.raises(UnscoredWindowsError):
        definition.execute_in_process(instance=job.instance, run_id=run_id, tags=range_tags(*NEWEST) | tags)
    return run_id


def answer(job: MicroBatch, cursor: str | None) -> SensorExecutionData:
    with dg.build_sensor_context(
        instance=job.instance, cursor=cursor, resources={"warehouse": (defs().resources or {})["warehouse"]}
    ) as context:
        return lacking_windows.evaluate_tick(context)


def test_a_scheduled_run_that_pulls_an_old_reading_is_answered_by_the_old_window_and_then_the_newest(
    job: MicroBatch,
) -> None:
    assert lacking_windows.default_status == dg.DefaultSensorStatus.RUNNING
    before = answer(job, None)
    job.topic.send([message("45.1, -122", FIRST_WINDOW + timedelta(minutes=5), 5.0)])
    run_id = fail(job, SCHEDULED)
    answered = answer(job, before.cursor)
    requests = answered.run_requests or []
    assert [requested(request) for request in requests] == [(KEYS[0], KEYS[0]), (NEWEST[0], NEWEST[1])]
    assert [request.run_key for request in requests] == [f"after {run_id} 0", f"after {run_id} 1"]
    priorities = [int(request.tags["dagster/priority"]) for request in requests]
    assert priorities == sorted(priorities, reverse=True)
    assert not answer(job, answered.cursor).run_requests
    for request in requests:
        job.run(*requested(request))
    with job.store.reader() as connection:
        assert rows(connection, "SELECT count(*) FROM windows WHERE classified IS NULL OR classified <> revision") == [
            (0,)
        ]


def test_a_wiped_store_is_made_again_although_its_copy_and_dagsters_records_are_still_there(job: MicroBatch) -> None:
    """As one from a backup is brought up to date: the tick sees the copy, and its run what the store lacks."""
    job.topic.send([message("45.1, -122", FIRST_WINDOW + timedelta(minutes=5), 5.0)])
    job.run(KEYS[0], KEYS[0])
    job.run(*NEWEST)
    before = answer(job, None)
    shutil.rmtree(job.store.private.parent)
    fail(job, SCHEDULED)
    requests = answer(job, before.cursor).run_requests or []
    ranges = [WindowRange.of_keys(*requested(request)) for request in requests]
    assert [start for windows in ranges for start in windows] == [*WindowRange.of_keys(KEYS[0], NEWEST[1])]


def test_a_run_that_no_schedule_started_is_not_answered(job: MicroBatch) -> None:
    before = answer(job, None)
    job.topic.send([message("45.1, -122", FIRST_WINDOW + timedelta(minutes=5), 5.0)])
    fail(job, {})
    answered = answer(job, before.cursor)
    assert not answered.run_requests
    assert "was not started by the schedule" in (answered.skip_message or "")


def test_a_scheduled_run_that_failed_otherwise_waits_for_the_next_tick(job: MicroBatch) -> None:
    before = answer(job, None)
    definition = defs().resolve_job_def("micro_batch")
    job.topic.delete()
    tags = range_tags(*NEWEST) | SCHEDULED
    assert not definition.execute_in_process(instance=job.instance, raise_on_error=False, tags=tags).success
    answered = answer(job, before.cursor)
    assert not answered.run_requests
    assert "did not fail for want of earlier windows" in (answered.skip_message or "")


def test_the_copy_shows_what_is_lacking_before_the_run_that_failed_has_ended(tmp_path: Path) -> None:
    """Dagster tells of the failure first and lets go of the run's resources then."""
    warehouse = WarehouseResource(data_dir=str(tmp_path))

    def refuse() -> None:
        with warehouse.exclusive() as writer:
            take_in(writer, readings(FIRST_WINDOW))
            list(score_windows(writer, WindowRange.of_keys(*NEWEST), FIRST_WINDOW, DetectorParameters()))

    with pytest.raises(UnscoredWindowsError):
        refuse()
    with Store(tmp_path).reader() as connection:
        assert rows(connection, "SELECT count(*) FROM windows") == [(1,)]
