"""Copies opened by many threads while they are replaced: never two mixed, never an old one for long."""

import threading
import time
from pathlib import Path

import pytest

from aqi_dagster.errors import StoreError
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.copies import Copies, NoCopyError
from aqi_dagster.pipeline.store.sql import scalar
from tests.support.waiting import LIMIT_SECONDS

REPLACEMENTS = 100

READERS = 4

_MUTES = "SELECT count(*) FROM mutes"

_CHANGES = "SELECT count(*) FROM rule_changes"


def publish_one_more(store: Store) -> None:
    """Add a row to each of two tables, so that a copy in which they differ is none, and publish."""
    with store.exclusive() as writer:
        writer.execute("INSERT INTO mutes SELECT repeat('x', 9000), now()::TIMESTAMP, now()::TIMESTAMP, 'r'")
        writer.execute("INSERT INTO rule_changes SELECT 'network', now()::TIMESTAMP")
    store.publish()


@pytest.mark.long
def test_readers_see_whole_copies_and_the_newest_while_a_hundred_are_published(tmp_path: Path) -> None:
    store = Store(tmp_path, lock_timeout=LIMIT_SECONDS)
    publish_one_more(store)
    copies, ended, faults, seen = Copies(store.published), threading.Event(), list[object](), [0] * READERS

    def read(number: int) -> None:
        last = 0
        while not ended.is_set():
            try:
                with copies.reader() as copy:
                    first = scalar(copy.connection, _MUTES)
                    time.sleep(0.003 * number)
                    second = scalar(copy.connection, _CHANGES)
            except StoreError as error:
                faults.append(error)
                return
            if first != second or first < last:
                faults.append((first, second, last))
            last = first
            seen[number] += 1

    threads = [threading.Thread(target=read, args=(number,)) for number in range(READERS)]
    for thread in threads:
        thread.start()
    for _ in range(REPLACEMENTS):
        publish_one_more(store)
    with copies.reader() as copy:
        newest = scalar(copy.connection, _MUTES)
    ended.set()
    for thread in threads:
        thread.join(LIMIT_SECONDS)
    assert faults == []
    assert min(seen) > REPLACEMENTS // 10
    assert newest == REPLACEMENTS + 1


def test_a_new_copy_is_opened_while_an_old_one_is_still_read(tmp_path: Path) -> None:
    store = Store(tmp_path, lock_timeout=LIMIT_SECONDS)
    publish_one_more(store)
    copies = Copies(store.published)
    with copies.reader() as old, copies.reader() as same:
        for _ in range(3):
            publish_one_more(store)
        with copies.reader() as new:
            numbers = [scalar(one.connection, _MUTES) for one in (old, same, new)]
        numbers += [scalar(one.connection, _CHANGES) for one in (old, same)]
    assert numbers == [1, 1, 4, 1, 1]
    assert copies.name() != old.name == same.name


def test_a_copy_that_is_read_is_not_overwritten_when_another_reader_of_it_ends(tmp_path: Path) -> None:
    store = Store(tmp_path, lock_timeout=LIMIT_SECONDS)
    publish_one_more(store)
    copies = Copies(store.published)
    with copies.reader() as long:
        before = store.published.stat().st_ino
        with copies.reader():
            pass
        for _ in range(3):
            publish_one_more(store)
        files = {path.stat().st_ino for path in tmp_path.rglob("*.duckdb")}
        assert scalar(long.connection, "SELECT sum(len(region))::BIGINT FROM mutes") == 9000
    assert before not in files


def test_nothing_stays_open_between_requests(tmp_path: Path) -> None:
    store = Store(tmp_path, lock_timeout=LIMIT_SECONDS)
    publish_one_more(store)
    with Copies(store.published).reader():
        assert _open_files(store.published) == 1
    assert _open_files(store.published) == 0


def test_a_copy_lets_nobody_write_or_read_other_files(tmp_path: Path) -> None:
    store = Store(tmp_path, lock_timeout=LIMIT_SECONDS)
    publish_one_more(store)
    other = tmp_path / "other.csv"
    other.write_text("secret\n1\n")
    with Copies(store.published).reader() as copy:
        for statement in ("DELETE FROM mutes", f"FROM '{other}'", "SET enable_external_access = true"):
            with pytest.raises(Exception, match=r"read-only|disabled|locked|[Cc]annot"):
                copy.connection.execute(statement)


def test_without_a_copy_there_is_none(tmp_path: Path) -> None:
    copies = Copies(tmp_path / "aqi.duckdb")
    with pytest.raises(NoCopyError, match="Nothing was published"), copies.reader():
        pass
    with pytest.raises(NoCopyError):
        copies.name()


def _open_files(path: Path) -> int:
    """How often this process has a file open, as Linux lists it."""
    status = path.stat()
    number = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            target = link.stat()
        except OSError:
            continue
        number += (target.st_dev, target.st_ino) == (status.st_dev, status.st_ino)
    return number
