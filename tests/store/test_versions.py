"""Stores of this release, of an older and of a newer one, and files that are no store."""

import duckdb
import pytest

from aqi_dagster.errors import StoreError
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.migration import SCHEMA_VERSION
from tests.support.store_processes import add, hear, process, sensors
from tests.support.tables import rows
from tests.support.waiting import LIMIT_SECONDS

COLUMNS = (
    "SELECT table_name, column_name, data_type, is_nullable, comment FROM duckdb_columns() WHERE NOT internal "
    "ORDER BY ALL"
)


def test_a_new_store_has_the_views_for_people(store: Store) -> None:
    add(store, "a")
    with store.exclusive() as connection:
        for view in ("sensor_windows", "smoke_spells", "hourly_pm25"):
            assert connection.execute(f"FROM {view}").fetchall() == []
        assert connection.execute("FROM schema_version").fetchall() == [(SCHEMA_VERSION,)]
    assert sensors(store) == ["a"]


def test_a_store_of_a_newer_release_is_refused_to_writers_and_readers_and_left_as_it_is(store: Store) -> None:
    add(store, "a")
    with store.exclusive() as connection:
        connection.execute("UPDATE schema_version SET version = version + 1")
    store.publish()
    told = f"schema version {SCHEMA_VERSION + 1}; this release knows {SCHEMA_VERSION}. Install the release"
    for attempt, path in [
        (store.exclusive, store.private),
        (store.inspect, store.private),
        (store.reader, store.published),
    ]:
        with pytest.raises(StoreError, match=f"The store {path} has {told}"), attempt() as connection:
            connection.execute("DELETE FROM sensors")
    with duckdb.connect(str(store.private), read_only=True) as connection:
        assert rows(connection, "SELECT sensor FROM sensors") == [("a",)]


def test_a_store_of_the_release_before_is_brought_up_to_date(store: Store) -> None:
    """As its writer left it when it was killed: with what it did last in the log beside the file."""
    add(store, "a")
    store.publish()
    make_old = (
        "import duckdb, os\nc = duckdb.connect(str(store.private))\n"
        "c.execute('ALTER TABLE slack_alerts DROP COLUMN told')\nc.execute('UPDATE schema_version SET version = 2')\n"
        "for of in 'corrected_readings.aqi_of_reading', 'regional_windows.aqi_of_max', 'smoke_spells.aqi_of_max':\n"
        "    c.execute(f\"COMMENT ON COLUMN {of} IS 'what it said then'\")\n"
        'c.execute("INSERT INTO slack_alerts (region, window_start, verdict, status, created_at) VALUES '
        "('Tahoe', '2022-07-18', 'smoke', 'sent', '2022-07-18 12:10')\")\nsay('old')\nos.kill(os.getpid(), 9)"
    )
    with process(make_old, store.published.parent) as other:
        assert hear(other) == "old"
        other.wait(LIMIT_SECONDS)
    with pytest.raises(StoreError, match=r"older release, with schema version 2; the next run"), store.inspect():
        pass
    with store.exclusive() as connection:
        assert rows(connection, "SELECT region, told FROM slack_alerts") == [("Tahoe", None)]
        old = rows(connection, COLUMNS)
    assert store.publish()
    with store.reader() as connection:
        assert rows(connection, COLUMNS) == old
    with Store(store.published.parent / "new").exclusive() as connection:
        assert rows(connection, COLUMNS) == old


def test_a_store_without_tables_and_a_file_that_is_no_store_are_named(store: Store) -> None:
    store.private.parent.mkdir()
    duckdb.connect(str(store.private)).close()
    with pytest.raises(StoreError, match="schema version none"), store.inspect():
        pass
    store.published.write_text("no DuckDB file")
    with pytest.raises(StoreError, match=r"published copy .*aqi\.duckdb cannot be opened"), store.reader():
        pass
