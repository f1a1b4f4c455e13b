"""The private store and its published copy, with real processes that read, write and die."""

import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from aqi_dagster.errors import StoreBusyError, StoreError
from aqi_dagster.pipeline.database import scalar, transaction
from aqi_dagster.pipeline.store import SCHEMA_VERSION, Store
from tests.conftest import rows

COLUMNS = (
    "SELECT table_name, column_name, data_type, is_nullable, comment FROM duckdb_columns() WHERE NOT internal "
    "ORDER BY ALL"
)

PREAMBLE = """
import sys, time
from pathlib import Path
from aqi_dagster.pipeline.store import Store
store = Store(Path(sys.argv[1]), lock_timeout=30)
def say(word):
    print(word, flush=True)
def listen():
    return sys.stdin.readline().strip()
"""

WRITES_UNTIL_TOLD = """
with store.exclusive() as connection:
    connection.execute("INSERT INTO sensors VALUES ('committed', '2022-07-18', '2022-07-18', 1)")
    connection.execute("BEGIN")
    connection.execute("INSERT INTO sensors VALUES ('open', '2022-07-18', '2022-07-18', 1)")
    say("in transaction")
    listen()
"""

READS_TWICE = """
import duckdb
with duckdb.connect(str(store.published), read_only=True) as connection:
    for _ in range(2):
        say(connection.execute("SELECT count(*) FROM sensors").fetchall()[0][0])
        listen()
"""

ADDS_SENSORS = """
say("ready")
listen()
for number in range(6):
    with store.exclusive() as connection:
        sensor = f"{sys.argv[2]} {number}"
        connection.execute("INSERT INTO sensors VALUES (?, '2022-07-18', '2022-07-18', 1)", [sensor])
    if number % 3 == 0:
        store.publish()
"""


@contextmanager
def process(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Python that runs ``code``; killed at the end if it did not end by itself."""
    command = [sys.executable, "-c", PREAMBLE + code, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as running:
        try:
            yield running
        finally:
            running.kill()


def hear(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    return running.stdout.readline().strip()


def tell(running: subprocess.Popen[str], word: str = "go on") -> None:
    assert running.stdin is not None
    running.stdin.write(word + "\n")
    running.stdin.flush()


def add(store: Store, sensor: str) -> None:
    with store.exclusive() as connection:
        connection.execute("INSERT INTO sensors VALUES (?, '2022-07-18', '2022-07-18', 1)", [sensor])


def sensors(store: Store) -> list[str]:
    with store.inspect() as connection:
        return [sensor for (sensor,) in rows(connection, "SELECT sensor FROM sensors ORDER BY ALL")]


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


def test_a_reader_with_the_old_copy_open_is_not_disturbed(store: Store) -> None:
    add(store, "a")
    store.publish()
    with process(READS_TWICE, store.published.parent) as reader:
        assert hear(reader) == "1"
        add(store, "b")
        assert store.publish()
        tell(reader)
        assert hear(reader) == "1"
        tell(reader)
        assert reader.wait(10) == 0
    with process(READS_TWICE, store.published.parent) as reader:
        assert hear(reader) == "2"


def test_a_draft_that_a_killed_process_left_is_no_hindrance(store: Store) -> None:
    add(store, "a")
    draft = store.published.with_name(".aqi.duckdb.draft")
    draft.write_bytes(b"half a copy")
    draft.chmod(0o444)
    assert store.publish()
    assert not draft.exists()
    with store.reader() as connection:
        assert scalar(connection, "SELECT sensor FROM sensors") == "a"


def test_two_processes_queue_for_the_store_and_lose_nothing(store: Store) -> None:
    folder = store.published.parent
    with process(ADDS_SENSORS, folder, "one") as one, process(ADDS_SENSORS, folder, "two") as two:
        assert (hear(one), hear(two)) == ("ready", "ready")
        tell(one)
        tell(two)
        assert (one.wait(30), two.wait(30)) == (0, 0)
    assert sensors(store) == sorted(f"{name} {number}" for name in ("one", "two") for number in range(6))
    with store.reader() as connection:
        assert scalar(connection, "SELECT count(*) FROM sensors") >= 6


def test_a_writer_that_is_killed_leaves_what_it_committed_and_no_lock(store: Store) -> None:
    with process(WRITES_UNTIL_TOLD, store.published.parent) as writer:
        assert hear(writer) == "in transaction"
        writer.send_signal(signal.SIGKILL)
        assert writer.wait(10) == -signal.SIGKILL
    started = time.monotonic()
    assert sensors(store) == ["committed"]
    add(store, "next")
    assert sensors(store) == ["committed", "next"]
    assert store.publish()
    with store.reader() as connection:
        assert scalar(connection, "SELECT count(*) FROM sensors") == 2
    assert time.monotonic() - started < 5


def test_an_error_undoes_its_transaction_and_frees_the_store(store: Store) -> None:
    insert = "INSERT INTO sensors VALUES ('a', '2022-07-18', '2022-07-18', 1)"

    def fail() -> None:
        with store.exclusive() as connection, transaction(connection):
            connection.execute(insert)
            connection.execute(insert)

    with pytest.raises(duckdb.ConstraintException):
        fail()
    add(store, "b")
    assert sensors(store) == ["b"]


def test_waiting_for_another_writer_ends_with_the_name_of_the_lock(store: Store, tmp_path: Path) -> None:
    impatient = Store(tmp_path, lock_timeout=0.2)
    with process(WRITES_UNTIL_TOLD, tmp_path) as writer:
        assert hear(writer) == "in transaction"
        for attempt in (impatient.exclusive, impatient.inspect):
            with pytest.raises(StoreBusyError, match=r"lock .*store\.lock for more than 0\.2 s"), attempt():
                pass
        tell(writer)
        assert writer.wait(10) == 0
    assert sensors(store) == ["committed"]


def test_what_needs_more_memory_than_it_may_have_names_the_setting(store: Store, tmp_path: Path) -> None:
    add(store, "before")
    bounded = Store(tmp_path, memory_limit=128)
    with (
        pytest.raises(StoreError, match=r"more than the 128 MB .* Set AQI_DUCKDB_MEMORY_MB to more"),
        bounded.exclusive() as connection,
    ):
        connection.execute("SELECT list(number) FROM range(50_000_000) AS numbers(number)")
    add(store, "after")
    assert sensors(store) == ["after", "before"]


def test_a_store_that_another_program_has_open_is_named(store: Store) -> None:
    add(store, "a")
    open_elsewhere = "import duckdb\nc = duckdb.connect(str(store.private))\nsay('open')\nlisten()\nc.close()"
    with process(open_elsewhere, store.published.parent) as other:
        assert hear(other) == "open"
        with pytest.raises(StoreError, match=r"store\.duckdb cannot be opened.*open the published copy"):
            add(store, "b")
        tell(other)
        assert other.wait(10) == 0
    add(store, "b")


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
        other.wait(10)
    with pytest.raises(StoreError, match=r"older release, with schema version 2; the next run"), store.inspect():
        pass
    with store.exclusive() as connection:
        assert rows(connection, "SELECT region, told FROM slack_alerts") == [("Tahoe", None)]
        old = rows(connection, COLUMNS)
    assert store.publish()
    with store.reader() as connection:
        assert rows(connection, COLUMNS) == old
    with Store(store.published.parent / "new", 1.0).exclusive() as connection:
        assert rows(connection, COLUMNS) == old


def test_a_store_without_tables_and_a_file_that_is_no_store_are_named(store: Store) -> None:
    store.private.parent.mkdir()
    duckdb.connect(str(store.private)).close()
    with pytest.raises(StoreError, match="schema version none"), store.inspect():
        pass
    store.published.write_text("no DuckDB file")
    with pytest.raises(StoreError, match=r"published copy .*aqi\.duckdb cannot be opened"), store.reader():
        pass


def test_a_new_store_has_the_views_for_people(store: Store) -> None:
    add(store, "a")
    with store.exclusive() as connection:
        for view in ("sensor_windows", "smoke_spells", "hourly_pm25"):
            assert connection.execute(f"FROM {view}").fetchall() == []
        assert connection.execute("FROM schema_version").fetchall() == [(SCHEMA_VERSION,)]
    assert sensors(store) == ["a"]


def test_a_copy_that_was_never_published_is_named(store: Store) -> None:
    with pytest.raises(StoreError, match=r"no published copy at .*aqi\.duckdb yet"), store.reader():
        pass


def test_a_store_that_was_never_written_is_named(store: Store) -> None:
    with pytest.raises(StoreError, match=r"store\.duckdb cannot be opened"), store.inspect():
        pass


def test_dispatching_excludes_other_dispatchers_and_no_writer(store: Store, tmp_path: Path) -> None:
    with store.dispatching():
        add(store, "a")
        with pytest.raises(StoreBusyError, match=r"dispatch\.lock"), Store(tmp_path, 0.1).dispatching():
            pass


def test_threads_of_one_process_queue_too(store: Store, tmp_path: Path) -> None:
    entered, may_leave = threading.Event(), threading.Event()

    def hold() -> None:
        with store.exclusive():
            entered.set()
            may_leave.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert entered.wait(10)
    with pytest.raises(StoreBusyError), Store(tmp_path, 0.1).exclusive():
        pass
    may_leave.set()
    add(store, "a")
    holder.join()
    assert sensors(store) == ["a"]


def test_what_a_killed_writer_left_in_its_log_is_published(store: Store) -> None:
    with process(WRITES_UNTIL_TOLD, store.published.parent) as writer:
        assert hear(writer) == "in transaction"
    assert store.private.with_name("store.duckdb.wal").exists()
    with store.exclusive():
        pass
    assert store.publish()
    with store.reader() as connection:
        assert rows(connection, "SELECT sensor FROM sensors") == [("committed",)]


def test_lock_files_that_nobody_holds_are_no_hindrance(store: Store) -> None:
    store.private.parent.mkdir()
    for name in ("store.lock", "dispatch.lock"):
        store.private.with_name(name).write_text("4242")
    with store.dispatching():
        add(store, "a")
    assert sensors(store) == ["a"]
