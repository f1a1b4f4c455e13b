"""Events that belong together are stored together, and are the same as if each had been stored by itself."""

import os
import queue
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
import pytest
from dagster._core.storage.event_log.base import EventLogCursor
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from sqlalchemy import text

from aqi_dagster.instance.event_log import FILES_OPEN, BatchingSqliteEventLog
from aqi_dagster.partitions import ALL_AT_ONCE, range_tags
from tests.support.lacking import lacking
from tests.support.places import TOP
from tests.support.waiting import LIMIT_SECONDS

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-03-01")
FIRST, LAST = "2026-01-10", "2026-02-07"
COUNT = 29


@dg.asset(partitions_def=DAYS, backfill_policy=ALL_AT_ONCE, check_specs=[dg.AssetCheckSpec("sound", asset="first")])
def first(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
    for number, key in enumerate(context.partition_keys):
        context.add_asset_metadata({"number": number}, partition_key=key)
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True, check_name="sound")])


@dg.asset(partitions_def=DAYS, backfill_policy=ALL_AT_ONCE, deps=[first])
def second() -> None: ...


def run(instance: dg.DagsterInstance) -> str:
    """A run of both assets over a range of partitions."""
    job = dg.Definitions([first, second], jobs=[dg.define_asset_job("both", [first, second])]).resolve_job_def("both")
    result = job.execute_in_process(instance=instance, tags=range_tags(FIRST, LAST))
    assert result.success
    return result.run_id


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """An instance with the shipped settings."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text((TOP / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


def told(instance: dg.DagsterInstance, run_id: str) -> dict[str, Any]:
    """All that may be asked of the events of a run, without what differs from run to run."""
    logs = [entry.get_dagster_event() for entry in instance.all_logs(run_id) if entry.is_dagster_event]
    of_assets = {}
    for asset in (first, second):
        records = [
            *instance.event_log_storage.get_event_records(
                dg.EventRecordsFilter(dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, asset.key), ascending=True
            ),
            *reversed(instance.fetch_materializations(asset.key, limit=1000).records),
        ]
        newest = instance.get_latest_materialization_event(asset.key)
        assert newest is not None
        assert [record.storage_id for record in records] == sorted({record.storage_id for record in records})
        of_assets[asset.key] = (
            [(record.partition_key, getattr(record.asset_materialization, "metadata", None)) for record in records],
            sorted(instance.get_materialized_partitions(asset.key)),
            newest.get_dagster_event().partition,
            [record.asset_entry.last_run_id == run_id for record in instance.get_asset_records([asset.key])],
        )
    check = dg.AssetCheckKey(first.key, "sound")
    checks = instance.event_log_storage.get_asset_check_execution_history(check, limit=10)
    return {
        "order": [event.event_type_value for event in logs],
        "partitions": [event.partition for event in logs],
        "assets": of_assets,
        "checks": [record.status for record in checks],
    }


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, Any]:
    """What an instance of Dagster's own tells."""
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "dagster.yaml").write_text("telemetry: {enabled: false}")
    with dg.DagsterInstance.from_config(str(tmp_path / "plain")) as plain:
        return told(plain, run(plain))


def test_events_in_batches_are_those_that_dagster_stores_one_by_one(
    instance: dg.DagsterInstance, expected: dict[str, Any]
) -> None:
    assert isinstance(instance.event_log_storage, BatchingSqliteEventLog)
    assert Counter(expected["order"])["ASSET_MATERIALIZATION"] == 2 * COUNT
    assert told(instance, run(instance)) == expected


def test_materializations_are_not_stored_one_by_one(instance: dg.DagsterInstance) -> None:
    stored = SqliteEventLogStorage.store_event
    one_by_one: list[str | None] = []

    def store_event(self: SqliteEventLogStorage, event: dg.EventLogEntry) -> None:
        one_by_one.append(event.dagster_event_type.value if event.dagster_event_type else None)
        stored(self, event)

    with patch.object(SqliteEventLogStorage, "store_event", store_event):
        run(instance)
    assert "STEP_SUCCESS" in one_by_one
    assert not any("MATERIALIZATION" in (kind or "") for kind in one_by_one)


def test_a_batch_that_cannot_be_stored_is_stored_one_by_one(
    instance: dg.DagsterInstance, expected: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    batches = []

    def fail(self: BatchingSqliteEventLog, events: Any, ids: Any) -> None:
        batches.append(len(events))
        raise OSError("no room")

    with patch.object(BatchingSqliteEventLog, "store_asset_event_tags", fail):
        run_id = run(instance)
    assert batches == [2 * COUNT, COUNT, COUNT]
    assert told(instance, run_id) == expected
    assert capsys.readouterr().err.count("no room") == len(batches)


def test_batches_may_be_switched_off(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "0")
    with patch.object(BatchingSqliteEventLog, "store_event_batch") as in_batches:
        run(instance)
    assert not in_batches.called


def test_whoever_follows_a_run_hears_of_its_events(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    run_id = run(instance)
    heard: queue.Queue[str] = queue.Queue()
    # As a webserver does for the page of a run.
    with dg.DagsterInstance.from_config(str(tmp_path)) as other:
        *_, last = other.get_records_for_run(run_id).records
        cursor = str(EventLogCursor.from_storage_id(last.storage_id))
        other.watch_event_logs(run_id, cursor, lambda event, _: heard.put(event.message))
        for message in ("one", "two"):
            instance.report_engine_event(message, run_id=run_id, job_name="both")
            assert heard.get(timeout=LIMIT_SECONDS) == message
        instance.event_log_storage.store_event_batch([last.event_log_entry] * 2)
        assert [heard.get(timeout=LIMIT_SECONDS) for _ in range(2)] == [last.event_log_entry.message] * 2


def open_files(folder: Path) -> set[str]:
    """Names of the SQLite files below ``folder`` that this process has open."""
    files = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return {file.name for file in files if file.is_relative_to(folder / "history") and file.suffix == ".db"}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason=lacking("a list of open files, as Linux has it"))
def test_few_files_stay_open_however_many_runs_there_are(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    runs = [f"run-{number}" for number in range(3 * FILES_OPEN)]
    for run_id in runs:
        instance.report_engine_event(f"of {run_id}", run_id=run_id, job_name="both")
    assert len(open_files(tmp_path)) == FILES_OPEN
    told_again = [[entry.message for entry in instance.all_logs(run_id)] for run_id in runs]
    assert told_again == [[f"of {run_id}"] for run_id in runs]
    instance.dispose()
    assert not open_files(tmp_path)


def test_what_one_query_left_half_read_does_not_hide_what_came_since(instance: dg.DagsterInstance) -> None:
    events = instance.event_log_storage
    assert isinstance(events, BatchingSqliteEventLog)
    run_id = run(instance)
    with suppress(KeyboardInterrupt), events.run_connection(run_id) as connection:
        left_open = connection.execute(text("SELECT id FROM event_logs"))
        assert left_open.fetchone() is not None
        raise KeyboardInterrupt
    with closing(sqlite3.connect(events.path_for_shard(run_id))) as another_process, another_process:
        another_process.execute("DELETE FROM event_logs")
    assert instance.all_logs(run_id) == []
    left_open.close()


def test_after_wiping_nothing_is_left(instance: dg.DagsterInstance) -> None:
    run_id = run(instance)
    instance.wipe()
    assert instance.all_logs(run_id) == []
    assert instance.get_materialized_partitions(first.key) == set()
    instance.report_engine_event("new", run_id=run_id, job_name="both")
    assert [entry.message for entry in instance.all_logs(run_id)] == ["new"]


def test_all_files_lie_where_dagster_has_them_by_default(
    instance: dg.DagsterInstance, expected: dict[str, Any], tmp_path: Path
) -> None:
    run_id = run(instance)
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}")
    with dg.DagsterInstance.from_config(str(tmp_path)) as plain:
        assert not isinstance(plain.event_log_storage, BatchingSqliteEventLog)
        assert told(plain, run_id) == expected
        assert plain.get_run_by_id(run_id) is not None


def test_without_a_home_events_go_with_the_command(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text((TOP / "dagster.yaml").read_text())
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-m", "aqi_dagster.definitions"]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    told = subprocess.run(
        command, cwd=tmp_path, env=environment | {"TMPDIR": str(temporary)}, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    assert list(temporary.iterdir()) == []
