"""The job that looks at the open window, as Dagster runs it on a real broker and store, and its schedule."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from filelock import FileLock

from aqi_dagster.definitions import defs
from aqi_dagster.windows import utc_now
from tests.support.jobs import MicroBatch
from tests.support.messages import RawMessage, message
from tests.support.tables import rows
from tests.support.topics import Topic

SENSORS = ["45.1, -122", "45.2, -122"]


@pytest.fixture
def job(topic: Topic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance) -> MicroBatch:
    monkeypatch.setenv("AQI_RULES", "network")
    return MicroBatch(topic, tmp_path, monkeypatch, instance)


def smoke_for_hours() -> list[RawMessage]:
    now = utc_now()
    ages = [timedelta(minutes=minutes) for minutes in range(5, 12 * 60, 20)]
    return [
        message(sensor, now - age, 300.0 + age.seconds // 60 % 50 + number)
        for number, sensor in enumerate(SENSORS)
        for age in ages
    ]


def run_look(job: MicroBatch) -> tuple[dict[str, Any], list[str]]:
    """Run the job: the metadata of its asset, and its log."""
    result = defs().resolve_job_def("look_now").execute_in_process(instance=job.instance)
    (event,) = result.asset_materializations_for_node("conditions")
    log = [entry.user_message for entry in job.instance.all_logs(result.run_id)]
    return {name: value.value for name, value in event.metadata.items()}, log


def test_a_look_pulls_and_publishes_the_air_of_now(job: MicroBatch) -> None:
    job.topic.send(smoke_for_hours())
    metadata, log = run_look(job)
    assert (metadata["dagster/row_count"], metadata["smoke"], metadata["pulled_readings"]) == (1, 1, 72)
    assert any(line.startswith("Lake Tahoe: smoke since ") for line in log)
    with duckdb.connect(str(job.published), read_only=True) as copy:
        ((region, state, level, healthy),) = rows(copy, "SELECT region, state, level, healthy FROM conditions")
        assert (region, state, healthy) == ("Lake Tahoe", "smoke", SENSORS)
        assert 150 < level < 250
        ((windows, peak),) = rows(copy, "SELECT windows, peak > 150 FROM smoke_episodes")
        assert (windows in (1, 2), peak) == (True, True)
        assert rows(copy, "SELECT count(*) FROM windows WHERE scored IS NOT NULL OR health_readings IS NOT NULL") == [
            (0,)
        ]


def test_messages_that_a_look_rejects_do_not_go_unnoticed(job: MicroBatch) -> None:
    job.topic.send([*smoke_for_hours()[:4], (b"no JSON", b"at all")])
    result = defs().resolve_job_def("look_now").execute_in_process(instance=job.instance)
    (check,) = result.get_asset_check_evaluations()
    assert (check.asset_key.to_user_string(), check.check_name) == ("conditions", "few_messages_rejected")
    assert (check.passed, (check.description or "")[:33]) == (False, "1 of 5 messages were rejected: ke")


def test_a_look_behind_a_long_run_leaves_it_at_that_and_says_so(
    job: MicroBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AQI_LOCK_TIMEOUT_SECONDS", "0.1")
    private = job.store.private
    private.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(private.with_name("store.lock")):
        metadata, log = run_look(job)
    assert metadata == {"waited_in_vain": True}
    assert any(line.startswith("This look saw nothing, and the next one comes soon. Another run held") for line in log)


def tick(instance: dg.DagsterInstance) -> dg.RunRequest | str | None:
    """What a tick of the schedule asks for, or why it asks for nothing."""
    (schedule,) = [one for one in defs().schedules or [] if one.name == "every_few_minutes"]
    assert isinstance(schedule, dg.ScheduleDefinition)
    with dg.build_schedule_context(instance=instance, scheduled_execution_time=datetime.now(UTC)) as context:
        found = schedule.evaluate_tick(context)
    return (found.run_requests or [None])[0] or found.skip_message


def test_looks_come_by_the_clock_but_not_behind_one_another_and_old_ones_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AQI_LOOKS_KEPT_DAYS", "0")
    job = defs().resolve_job_def("look_now")
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        finished = instance.create_run_for_job(job, status=dg.DagsterRunStatus.SUCCESS)
        others = instance.create_run_for_job(defs().resolve_job_def("tell_slack"), status=dg.DagsterRunStatus.SUCCESS)
        assert isinstance(tick(instance), dg.RunRequest)
        assert instance.get_run_by_id(finished.run_id) is None
        assert instance.get_run_by_id(others.run_id) is not None
        under_way = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        assert tick(instance) == "The last look is still under way."
        instance.report_run_canceled(under_way)
        assert isinstance(tick(instance), dg.RunRequest)


@pytest.mark.parametrize(
    ("minutes", "cron"), [("0", []), ("15", ["*/15 * * * *"]), ("5", ["*/5 * * * *"]), ("60", ["0 * * * *"])]
)
def test_a_setting_says_how_often_to_look(monkeypatch: pytest.MonkeyPatch, minutes: str, cron: list[str]) -> None:
    monkeypatch.setenv("AQI_LOOK_MINUTES", minutes)
    looks = [one.cron_schedule for one in defs().schedules or [] if one.name == "every_few_minutes"]  # type: ignore[union-attr]
    assert looks == cron
