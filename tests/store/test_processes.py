"""Several at one store: real processes, and threads, that read, write, wait for each other and die."""

import logging
import signal
import threading
from pathlib import Path

import pytest

from aqi_dagster.errors import StoreBusyError, StoreError
from aqi_dagster.pipeline.store import locks
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.sql import scalar
from tests.support.store_processes import WRITES_UNTIL_TOLD, add, hear, process, sensors, tell
from tests.support.tables import rows
from tests.support.waiting import LIMIT_SECONDS, wait_for

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
        insert = "INSERT INTO sensors (sensor, first_reading, last_reading, readings) VALUES (?, now(), now(), 1)"
        connection.execute(insert, [sensor])
    if number % 3 == 0:
        store.publish()
"""


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
        assert reader.wait(LIMIT_SECONDS) == 0
    with process(READS_TWICE, store.published.parent) as reader:
        assert hear(reader) == "2"


def test_two_processes_queue_for_the_store_and_lose_nothing(store: Store) -> None:
    folder = store.published.parent
    with process(ADDS_SENSORS, folder, "one") as one, process(ADDS_SENSORS, folder, "two") as two:
        assert (hear(one), hear(two)) == ("ready", "ready")
        tell(one)
        tell(two)
        assert (one.wait(LIMIT_SECONDS), two.wait(LIMIT_SECONDS)) == (0, 0)
    assert sensors(store) == sorted(f"{name} {number}" for name in ("one", "two") for number in range(6))
    with store.reader() as connection:
        assert scalar(connection, "SELECT count(*) FROM sensors") >= 6


def test_a_writer_that_is_killed_leaves_what_it_committed_and_no_lock(tmp_path: Path) -> None:
    with process(WRITES_UNTIL_TOLD, tmp_path) as writer:
        assert hear(writer) == "in transaction"
        writer.send_signal(signal.SIGKILL)
        assert writer.wait(LIMIT_SECONDS) == -signal.SIGKILL
    store = Store(tmp_path, lock_timeout=0)
    assert sensors(store) == ["committed"]
    add(store, "next")
    assert sensors(store) == ["committed", "next"]
    assert store.publish()
    with store.reader() as connection:
        assert scalar(connection, "SELECT count(*) FROM sensors") == 2


def test_what_a_killed_writer_left_in_its_log_is_published(store: Store) -> None:
    with process(WRITES_UNTIL_TOLD, store.published.parent) as writer:
        assert hear(writer) == "in transaction"
    assert store.private.with_name("store.duckdb.wal").exists()
    with store.exclusive():
        pass
    assert store.publish()
    with store.reader() as connection:
        assert rows(connection, "SELECT sensor FROM sensors") == [("committed",)]


def test_waiting_for_another_writer_ends_with_the_name_of_the_lock(store: Store, tmp_path: Path) -> None:
    impatient = Store(tmp_path, lock_timeout=0.2)
    with process(WRITES_UNTIL_TOLD, tmp_path) as writer:
        assert hear(writer) == "in transaction"
        for attempt in (impatient.exclusive, impatient.inspect):
            with pytest.raises(StoreBusyError, match=r"lock .*store\.lock for more than 0\.2 s"), attempt():
                pass
        tell(writer)
        assert writer.wait(LIMIT_SECONDS) == 0
    assert sensors(store) == ["committed"]


def test_a_store_that_another_program_has_open_is_named(store: Store) -> None:
    add(store, "a")
    open_elsewhere = "import duckdb\nc = duckdb.connect(str(store.private))\nsay('open')\nlisten()\nc.close()"
    with process(open_elsewhere, store.published.parent) as other:
        assert hear(other) == "open"
        with pytest.raises(StoreError, match=r"store\.duckdb cannot be opened.*open the published copy"):
            add(store, "b")
        tell(other)
        assert other.wait(LIMIT_SECONDS) == 0
    add(store, "b")


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
            may_leave.wait(LIMIT_SECONDS)

    holder = threading.Thread(target=hold)
    holder.start()
    assert entered.wait(LIMIT_SECONDS)
    with pytest.raises(StoreBusyError), Store(tmp_path, 0.1).exclusive():
        pass
    may_leave.set()
    add(store, "a")
    holder.join()
    assert sensors(store) == ["a"]


def test_a_long_wait_for_the_store_is_told_when_it_begins_and_ends(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(locks, "WAIT_SAID_AFTER", 0.05)
    caplog.set_level(logging.INFO, logger=locks.__name__)
    with process(WRITES_UNTIL_TOLD, store.published.parent) as writer:
        assert hear(writer) == "in transaction"
        waiting = threading.Thread(target=add, args=(store, "a"))
        waiting.start()
        assert wait_for("line about the wait", lambda: caplog.messages)
        assert caplog.messages[0].startswith(f"Another run or command has {store.private.with_name('store.lock')}: ")
        tell(writer)
        waiting.join(LIMIT_SECONDS)
    assert caplog.messages[1].startswith("waited ")
    assert sensors(store) == ["a", "committed"]


def test_lock_files_that_nobody_holds_are_no_hindrance(store: Store) -> None:
    store.private.parent.mkdir()
    for name in ("store.lock", "dispatch.lock"):
        store.private.with_name(name).write_text("4242")
    with store.dispatching():
        add(store, "a")
    assert sensors(store) == ["a"]
