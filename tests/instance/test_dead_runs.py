"""Runs of the command line whose process was killed: nothing waits for them, and nobody takes them for running."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest

from aqi_dagster.automation import twice_a_day
from aqi_dagster.definitions import defs
from aqi_dagster.instance.dead_runs import announce, give_up_dead_runs, tags_of_command

ANNOUNCES = """
import sys
import dagster as dg
from aqi_dagster.instance.dead_runs import announce
with dg.DagsterInstance.from_config(sys.argv[1]) as instance, announce(instance, sys.argv[2]):
    instance.event_log_storage.claim_concurrency_slot("duckdb", sys.argv[2], "readings")
    print("under way", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance that other processes can open, whose pools let one through."""
    settings = "concurrency: {pools: {default_limit: 1, granularity: op}}\ntelemetry: {enabled: false}\n"
    (tmp_path / "dagster.yaml").write_text(settings)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        instance.event_log_storage.initialize_concurrency_limit_to_default("duckdb")
        yield instance


def started(instance: dg.DagsterInstance) -> dg.DagsterRun:
    """A run that a command has under way, as Dagster's records tell it."""
    job = defs().resolve_job_def("micro_batch")
    run_id = str(uuid4())
    return instance.create_run_for_job(
        job, run_id=run_id, status=dg.DagsterRunStatus.STARTED, tags=tags_of_command(run_id)
    )


@contextmanager
def command(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[subprocess.Popen[str]]:
    """A process that is in the middle of ``run``."""
    arguments = [sys.executable, "-c", ANNOUNCES, instance.root_directory, run.run_id]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "under way"
        try:
            yield process
        finally:
            process.kill()


def holders(instance: dg.DagsterInstance) -> set[str]:
    """Runs that hold or await a place in the pool."""
    return set(instance.event_log_storage.get_concurrency_run_ids())


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def test_a_run_whose_process_was_killed_is_given_up_and_its_place_freed(instance: dg.DagsterInstance) -> None:
    run = started(instance)
    with command(instance, run) as process:
        give_up_dead_runs(instance)
        assert status(instance, run) == dg.DagsterRunStatus.STARTED
        assert holders(instance) == {run.run_id}
        process.kill()
        process.wait()
    give_up_dead_runs(instance)
    assert status(instance, run) == dg.DagsterRunStatus.FAILURE
    assert holders(instance) == set()
    assert list((Path(instance.root_directory) / "commands").iterdir()) == []


def test_giving_up_a_run_may_itself_be_cut_short(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*arguments: object) -> None:
        raise KeyboardInterrupt

    run = started(instance)
    with command(instance, run):
        pass
    with monkeypatch.context() as patch:
        patch.setattr(instance, "report_run_failed", cut)
        with pytest.raises(KeyboardInterrupt):
            give_up_dead_runs(instance)
    assert holders(instance) == set()
    give_up_dead_runs(instance)
    assert status(instance, run) == dg.DagsterRunStatus.FAILURE


def test_the_schedule_gives_up_dead_runs_before_it_asks_for_another(instance: dg.DagsterInstance) -> None:
    run = started(instance)
    with command(instance, run):
        pass
    tick = datetime(2022, 7, 22, 0, 10, tzinfo=UTC)
    warehouse = (defs().resources or {})["warehouse"]
    with dg.build_schedule_context(
        instance=instance, scheduled_execution_time=tick, resources={"warehouse": warehouse}
    ) as context:
        assert twice_a_day.evaluate_tick(context).run_requests
    assert status(instance, run) == dg.DagsterRunStatus.FAILURE
    assert holders(instance) == set()


def test_a_run_that_is_interrupted_frees_its_place(instance: dg.DagsterInstance) -> None:
    run = started(instance)

    def interrupted() -> None:
        with announce(instance, run.run_id):
            instance.event_log_storage.claim_concurrency_slot("duckdb", run.run_id, "readings")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert holders(instance) == set()


def test_a_run_that_is_alive_does_not_keep_a_dead_one_before_it(instance: dg.DagsterInstance) -> None:
    dead = started(instance)
    alive = started(instance)
    with command(instance, alive):
        give_up_dead_runs(instance)
        assert [status(instance, run) for run in (dead, alive)] == [
            dg.DagsterRunStatus.FAILURE,
            dg.DagsterRunStatus.STARTED,
        ]


def test_runs_that_no_command_started_are_left_alone(instance: dg.DagsterInstance) -> None:
    job = defs().resolve_job_def("micro_batch")
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    give_up_dead_runs(instance)
    assert status(instance, run) == dg.DagsterRunStatus.STARTED


def test_a_run_that_was_re_executed_from_the_page_is_none_of_a_command(instance: dg.DagsterInstance) -> None:
    parent = started(instance)
    job = defs().resolve_job_def("micro_batch")
    again = instance.create_run_for_job(
        job,
        run_id=str(uuid4()),
        status=dg.DagsterRunStatus.STARTED,
        tags=parent.tags,
        parent_run_id=parent.run_id,
        root_run_id=parent.run_id,
    )
    give_up_dead_runs(instance)
    assert status(instance, parent) == dg.DagsterRunStatus.FAILURE
    assert status(instance, again) == dg.DagsterRunStatus.STARTED


def test_a_run_that_ends_after_it_was_listed_stays_what_it_became(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = started(instance)
    run = started(instance)
    listed = instance.get_runs

    def list_and_end(*arguments: Any, **options: Any) -> Any:
        found = listed(*arguments, **options)
        instance.report_dagster_event(dg.DagsterEvent("PIPELINE_SUCCESS", run.job_name), run.run_id)
        return found

    monkeypatch.setattr(instance, "get_runs", list_and_end)
    give_up_dead_runs(instance)
    assert status(instance, run) == dg.DagsterRunStatus.SUCCESS
    assert status(instance, dead) == dg.DagsterRunStatus.FAILURE
