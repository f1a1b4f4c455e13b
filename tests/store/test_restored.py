"""A store from a backup is told as that: neither as a missing copy, nor as the store that it replaced."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from aqi_dagster.errors import StoreError
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.restored import unpublished_store
from tests.support.command_line import Site
from tests.support.messages import FIRST_WINDOW, message, take_in


def fill(store: Store, first: int, count: int) -> None:
    """Take in further messages, and publish."""
    with store.exclusive() as writer:
        moments = [FIRST_WINDOW + timedelta(minutes=number) for number in range(first, first + count)]
        take_in(writer, [message("45.1, -122", at, 5) for at in moments], first_offset=first)
    store.publish()


@pytest.fixture
def backup(store: Store, tmp_path: Path) -> Path:
    """A backup with ten readings of a store that has twenty by now."""
    fill(store, 0, 10)
    copy = tmp_path / "backup.duckdb"
    shutil.copy(store.private, copy)
    fill(store, 10, 10)
    return copy


def test_a_store_that_was_not_restored_is_not_told_of(store: Store, backup: Path) -> None:
    assert unpublished_store(store.with_patience(0)) is None
    # A run that has not published yet is ahead of the copy.
    with store.exclusive() as writer:
        take_in(writer, [message("45.1, -122", FIRST_WINDOW + timedelta(hours=3), 5)], first_offset=20)
        assert unpublished_store(store.with_patience(0)) is None
    assert unpublished_store(store.with_patience(0)) is None


@pytest.mark.parametrize("keeps_copy", [True, False], ids=["into its folder", "into an empty folder"])
def test_status_tells_of_a_restored_store_and_shows_it_until_a_run_publishes_it(
    store: Store, backup: Path, tmp_path: Path, keeps_copy: bool
) -> None:
    shutil.copy(backup, store.private)
    if not keeps_copy:
        store.published.unlink()
        with pytest.raises(StoreError, match=r"no copy of it is published.*restored from a backup"), store.reader():
            pass
    settings = {"AQI_DATA_DIR": str(tmp_path), "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "KAFKA_TIMEOUT_SECONDS": "1"}
    site = Site(tmp_path, settings)
    told = site.run("status").stdout
    assert "restored from a backup" in told
    assert "10 of 1 sensors" in told
    # Nothing was written by looking.
    assert store.published.exists() == keeps_copy
    fill(store, 10, 10)
    told = site.run("status").stdout
    assert "restored" not in told
    assert "20 of 1 sensors" in told
