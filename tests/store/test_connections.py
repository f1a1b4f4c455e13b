"""The private store and its published copy: what is written, published and read."""

import stat
from pathlib import Path

import duckdb
import pytest

from aqi_dagster.errors import StoreError
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.sql import scalar, transaction
from tests.support.store_processes import add, sensors
from tests.support.tables import rows


def test_what_is_written_is_seen_by_readers_once_it_is_published(store: Store) -> None:
    add(store, "a")
    assert store.publish()
    add(store, "b")
    with store.reader() as connection:
        assert rows(connection, "SELECT sensor FROM sensors") == [("a",)]
    assert store.publish()
    with store.reader() as connection:
        assert rows(connection, "SELECT sensor FROM sensors ORDER BY ALL") == [("a",), ("b",)]


def test_nothing_is_published_twice(store: Store) -> None:
    assert not store.publish()
    add(store, "a")
    assert store.publish()
    before = store.published.stat().st_ino
    assert not store.publish()
    assert sensors(store) == ["a"]
    assert not store.publish()
    assert store.published.stat().st_ino == before


def test_readers_cannot_write_the_published_copy(store: Store) -> None:
    add(store, "a")
    store.publish()
    assert stat.S_IMODE(store.published.stat().st_mode) == 0o444
    with store.reader() as connection, pytest.raises(duckdb.InvalidInputException, match="read-only"):
        connection.execute("DELETE FROM sensors")


def test_the_private_folder_is_the_owners_alone(store: Store) -> None:
    add(store, "a")
    assert stat.S_IMODE(store.private.parent.stat().st_mode) == 0o700
    assert {path.name for path in store.private.parent.iterdir()} == {"store.duckdb", "store.lock"}
    assert {path.name for path in store.published.parent.iterdir()} == {"private"}


def test_a_draft_that_a_killed_process_left_is_no_hindrance(store: Store) -> None:
    add(store, "a")
    draft = store.published.with_name(".aqi.duckdb.draft")
    draft.write_bytes(b"half a copy")
    draft.chmod(0o444)
    assert store.publish()
    assert not draft.exists()
    with store.reader() as connection:
        assert scalar(connection, "SELECT sensor FROM sensors") == "a"


def test_an_error_undoes_its_transaction_and_frees_the_store(store: Store) -> None:
    insert = "INSERT INTO sensors (sensor, first_reading, last_reading, readings) VALUES ('a', now(), now(), 1)"

    def fail() -> None:
        with store.exclusive() as connection, transaction(connection):
            connection.execute(insert)
            connection.execute(insert)

    with pytest.raises(duckdb.ConstraintException):
        fail()
    add(store, "b")
    assert sensors(store) == ["b"]


def test_what_needs_more_memory_than_it_may_have_names_the_setting(store: Store, tmp_path: Path) -> None:
    add(store, "before")
    bounded = Store(tmp_path, memory_limit=128)
    large = "SELECT list(number) FROM range(50_000_000) AS numbers(number)"
    told = pytest.raises(StoreError, match=r"more than the 128 MB .* Set AQI_DUCKDB_MEMORY_MB to more")
    with told, bounded.exclusive() as connection:
        connection.execute(large)
    with told, bounded.publish_and_open() as (connection, _):
        connection.execute(large)
    add(store, "after")
    assert sensors(store) == ["after", "before"]


@pytest.mark.parametrize("size", [0, 1, 4096, 8192, 12_288])
def test_a_store_whose_making_an_older_release_never_finished_is_made_again(store: Store, size: int) -> None:
    """On a full disk such a file had a part of its headers, or all of them and no table."""
    store.private.parent.mkdir(parents=True)
    duckdb.connect(str(store.private)).close()
    headers = store.private.read_bytes()
    assert len(headers) == 12_288
    store.private.write_bytes(headers[:size])
    add(store, "a")
    assert sensors(store) == ["a"]
    assert store.publish()


def test_a_copy_that_was_never_published_is_named(store: Store) -> None:
    with pytest.raises(StoreError, match=r"no published copy at .*aqi\.duckdb yet"), store.reader():
        pass


def test_a_store_that_was_never_written_is_named(store: Store) -> None:
    with pytest.raises(StoreError, match=r"store\.duckdb cannot be opened"), store.inspect():
        pass
