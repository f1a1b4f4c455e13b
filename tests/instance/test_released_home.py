"""What an installation of the last release keeps, its DAGSTER_HOME and its store, in the hands of this one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from aqi_dagster.dagster_home import SETTINGS, shipped_settings
from aqi_dagster.instance.event_log import BatchingSqliteEventLog
from aqi_dagster.instance.former_class import NEW_LINES, BatchingInstance
from aqi_dagster.pipeline.store.migration import SCHEMA_VERSION
from aqi_dagster.pipeline.store.sql import scalar
from aqi_dagster.windows import window_key
from tests.support.command_line import Site
from tests.support.released import unpack_home
from tests.support.released_readings import FURTHER_WINDOW, WINDOWS, messages_of_the_further_window
from tests.support.topics import Topic

OLD_KEYS = {window_key(start) for start in WINDOWS}

OLDEST = min(OLD_KEYS)

NEWEST = window_key(FURTHER_WINDOW)

BY_WINDOW = ["readings", "scored_readings", "anomalies", "regional_windows"]


@pytest.fixture
def site(tmp_path: Path, topic: Topic) -> Site:
    """The installation, whose broker was replaced: its topic holds the readings of the next window."""
    unpack_home(tmp_path)
    topic.send(messages_of_the_further_window())
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": topic.servers,
        "KAFKA_TOPIC": topic.name,
        "KAFKA_ON_RECREATED_TOPIC": "reread",
    }
    return Site(tmp_path, settings)


@contextmanager
def records(site: Site) -> Iterator[dg.DagsterInstance]:
    """Dagster's records, as the home's own dagster.yaml has them opened."""
    with dg.DagsterInstance.from_config(str(site.folder / "dagster")) as instance:
        assert isinstance(instance.event_log_storage, BatchingSqliteEventLog)
        yield instance


def materialized(instance: dg.DagsterInstance) -> list[set[str]]:
    """The keys of the windows that were materialized, asset by asset."""
    return [set(instance.get_materialized_partitions(dg.AssetKey(asset))) for asset in BY_WINDOW]


def succeeded(instance: dg.DagsterInstance) -> list[str]:
    """The jobs of the runs that succeeded, in order."""
    runs = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]))
    return [run.job_name for run in reversed(runs)]


def test_the_records_of_the_last_release_are_read(site: Site) -> None:
    with records(site) as instance:
        assert succeeded(instance) == ["micro_batch", "tell_slack", "micro_batch"]
        assert instance.get_runs_count() == 3
        assert materialized(instance) == [OLD_KEYS] * len(BY_WINDOW)
        for run in instance.get_runs():
            kinds = {log.dagster_event_type for log in instance.all_logs(run.run_id)}
            assert {dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.RUN_SUCCESS} <= kinds


def test_the_instance_of_the_last_release_is_known_and_its_new_lines_are_told(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = site.folder / "dagster" / "dagster.yaml"
    with records(site) as instance:
        assert isinstance(instance, BatchingInstance)
        runs = [run.run_id for run in instance.get_runs()]
    (warning,) = [record.getMessage() for record in caplog.records if "instance_class" in record.getMessage()]
    assert NEW_LINES in warning
    # As the warning says: from `instance_class:` four lines.
    monkeypatch.setenv("DAGSTER_HOME", str(settings.parent))
    lines = settings.read_text().splitlines(keepends=True)
    start = lines.index("instance_class:\n")
    settings.write_text("".join([*lines[:start], NEW_LINES, *lines[start + 4 :]]))
    caplog.clear()
    with records(site) as instance:
        assert type(instance) is dg.DagsterInstance
        assert [run.run_id for run in instance.get_runs()] == runs
        assert materialized(instance) == [OLD_KEYS] * len(BY_WINDOW)
    assert not caplog.records


def test_status_tells_of_the_store_or_how_it_is_brought_up_to_date(site: Site) -> None:
    with duckdb.connect(str(site.published), read_only=True) as copy:
        version = scalar(copy, "SELECT version FROM schema_version")
    finished = site.run("status", check=False)
    if version == SCHEMA_VERSION:
        assert finished.returncode == 0
        assert "542 of 5 sensors" in finished.stdout
    else:
        assert finished.returncode == 1
        assert f"older release, with schema version {version}" in finished.stderr
        assert "materialize a window" in finished.stderr


def test_the_next_window_is_run_and_joins_the_old_ones_in_records_and_status(site: Site) -> None:
    # Two spellings of a sensor became one, whose windows are to be scored anew.
    refused = site.run("materialize", "--from", NEWEST, "--to", NEWEST, check=False)
    assert f"Materialize the range from {OLDEST} to {NEWEST} in one run" in refused.stderr
    told = site.run("materialize", "--from", OLDEST, "--to", NEWEST).stdout
    assert "smoke" in told
    assert "2 alerts are pending" in told
    with records(site) as instance:
        assert succeeded(instance) == ["micro_batch", "tell_slack", "micro_batch", "micro_batch"]
        assert instance.get_runs_count() == 5
        assert materialized(instance) == [OLD_KEYS | {NEWEST}] * len(BY_WINDOW)
    status = site.run("status").stdout
    assert "windows scored          7, newest 2022-07-21 00:00 UTC" in status
    assert "2 pending, 2 sent" in status


def test_the_home_keeps_its_settings_and_is_told_what_is_new_in_them(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(site.folder / "dagster"))
    settings = site.folder / "dagster" / SETTINGS
    old = settings.read_text()
    told = site.run("home").stdout
    assert settings.read_text() == old
    assert "is not that of this release" in told
    assert "+      - key: aqi_dagster/series" in told.splitlines()
    # What the operator is told to do: the records are still there, and runs join them.
    settings.write_text(shipped_settings())
    assert "is that of this release" in site.run("home").stdout
    site.run("materialize", "--from", OLDEST, "--to", NEWEST)
    with dg.DagsterInstance.from_config(str(site.folder / "dagster")) as instance:
        assert not instance.telemetry_enabled
        assert succeeded(instance) == ["micro_batch", "tell_slack", "micro_batch", "micro_batch"]
        assert materialized(instance) == [OLD_KEYS | {NEWEST}] * len(BY_WINDOW)
