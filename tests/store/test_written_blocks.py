"""What is published after tracked sessions equals the store byte for byte, though only some of it was compared."""

import filecmp
import os
import random
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.pipeline.store.written_blocks import Notes, identity

FILL = "CREATE TABLE numbers AS SELECT i, hash(i) AS number, i % 7 AS part FROM range(600_000) AS t(i)"

STATEMENTS = [
    "INSERT INTO numbers SELECT i, hash(i + {n}), 1 FROM range({n}) AS t(i)",
    "DELETE FROM numbers WHERE i BETWEEN {n} AND {n} + 2_000",
    "UPDATE numbers SET number = {n} WHERE i % 1_000 = {n} % 1_000",
    "INSERT INTO numbers SELECT i, hash(i * {n}), 2 FROM range(300_000) AS t(i)",
    "DELETE FROM numbers WHERE part = {n} % 7",
    "CREATE OR REPLACE TABLE more AS SELECT hash(i + {n}) AS number FROM range({n}) AS t(i)",
    "CHECKPOINT",
]


class _Given(Exception):
    """What makes a session fail."""


def spare(store: Store) -> Path:
    return store.private.with_name("spare.duckdb")


def is_known(store: Store, copy: Path) -> bool:
    """Whether the blocks are known in which ``copy`` may differ from the store."""
    return copy.exists() and identity(copy) in Notes(store.private).read()


def publish(store: Store) -> None:
    assert store.publish()
    assert filecmp.cmp(store.private, store.published, shallow=False)


def change(writer: Writer, number: int) -> None:
    writer.execute(f"INSERT INTO numbers VALUES ({number}, {number}, 0)")


@pytest.fixture
def filled(store: Store) -> Store:
    """A store of some MB that was published twice, with tracked sessions before it."""
    with store.exclusive() as writer:
        writer.execute(FILL)
    publish(store)
    for number in range(2):
        with store.exclusive(tracked=True) as writer:
            change(writer, number)
        publish(store)
    return store


def test_after_tracked_sessions_only_what_they_wrote_is_compared(filled: Store) -> None:
    assert is_known(filled, spare(filled))
    assert is_known(filled, filled.published)
    with filled.exclusive(tracked=True) as writer:
        change(writer, 7)
    behind = Notes(filled.private).read()[identity(spare(filled))]
    assert 0 < len(behind) <= 6 < filled.private.stat().st_size >> 19
    # What was not written is not looked at: a byte that is changed there, at the same time by the clock, stays.
    with spare(filled).open("r+b") as file:
        before = spare(filled).stat()
        untouched = next(block for block in range(5, 30) if block not in behind)
        file.seek(untouched << 19)
        file.write(b"changed")
    os.utime(spare(filled), ns=(before.st_atime_ns, before.st_mtime_ns))
    assert filled.publish()
    assert not filecmp.cmp(filled.private, filled.published, shallow=False)
    # A run compares everything.
    with filled.publish_and_open():
        pass
    with filled.publish_and_open():
        assert filecmp.cmp(filled.private, filled.published, shallow=False)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_sessions_do_and_however_they_end_the_copy_is_equal(store: Store, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 (no secret)
    with store.exclusive() as writer:
        writer.execute(FILL)
    cheap = 0
    for _ in range(25):
        with suppress(_Given), store.exclusive(tracked=chance.random() < 0.85) as writer:
            for _ in range(chance.randrange(3)):
                writer.execute(chance.choice(STATEMENTS).format(n=chance.randrange(1, 20_000)))
            if chance.random() < 0.1:
                raise _Given
        if chance.random() < 0.8:
            cheap += is_known(store, spare(store))
            publish(store)
    assert cheap > 3


def test_a_large_session_is_tracked_as_well(filled: Store) -> None:
    with filled.exclusive(tracked=True) as writer:
        writer.execute("CREATE TABLE large AS SELECT hash(i) AS a, hash(i + 1) AS b FROM range(4_000_000) AS t(i)")
    assert is_known(filled, spare(filled))
    publish(filled)
    with filled.exclusive(tracked=True) as writer:
        writer.execute("DROP TABLE large")
    publish(filled)


def test_what_others_did_to_store_or_copies_makes_all_be_compared(filled: Store, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    shutil.copy(filled.private, backup)
    with filled.exclusive() as writer:
        change(writer, 1)
    assert not is_known(filled, filled.published)
    publish(filled)
    with filled.exclusive(tracked=True) as writer:
        change(writer, 2)
    assert is_known(filled, filled.published)
    # An operator puts a backup back, of the same size and time.
    times = filled.private.stat()
    shutil.copy(backup, filled.private)
    os.utime(filled.private, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not is_known(filled, filled.published)
    publish(filled)
    spare(filled).touch()
    assert not is_known(filled, spare(filled))
    Notes(filled.private).forget()
    Path(filled.private.with_name("written.json")).write_text('{"store": 1, "copies": [')
    with filled.exclusive(tracked=True) as writer:
        change(writer, 3)
    publish(filled)
