"""A disk that is nearly full: no copy is published that lacks what the log of the store still holds."""

import json
from pathlib import Path

from tests.support.confined import on_small_disk

WRITES = """
import time
from aqi_dagster.errors import StoreError
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.file_faults import log_of

def attempt(act):
    try:
        return act()
    except StoreError as error:
        return f"StoreError: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def write(store, name, fails=False):
    # Committed, so it is in the log; where there is room for the log alone, closing cannot merge it.
    with store.exclusive() as writer:
        writer.execute(f"CREATE TABLE {name} AS SELECT hash(i) AS number FROM range(20000) AS t(i)")
        committed.append(name)
        if fails:
            # As a run does whose range is refused after it has pulled.
            raise ValueError
    return "written"

def tables(path):
    import duckdb
    with duckdb.connect(str(path), read_only=True) as connection:
        names = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        return sorted(name for (name,) in names if name.startswith("t_"))

def used():
    return sum(file.stat().st_blocks // 2 for file in disk.rglob("*") if file.is_file())

def size_of(kilobytes):
    resize(used() + kilobytes)

stale = merged = refused = 0
for number, (room, fails) in enumerate((room, fails) for room in range(100, 1500, 140) for fails in (False, True)):
    store, committed = Store(disk / str(number)), []
    write(store, "t_before")
    store.publish()
    size_of(room)
    outcome = attempt(lambda: write(store, "t_after", fails))
    left_a_log = log_of(store.private).exists()
    if fails:
        # Somebody makes room before the run ends: nothing but the log stands against a copy.
        resize(64_000)
    published = attempt(store.publish)
    copy = tables(store.published)
    if published is True:
        stale += copy != sorted(committed)
    else:
        refused += "t_after" in committed
        stale += copy != ["t_before"]
        assert published.startswith("StoreError: ") and ("full" in published), published
    if left_a_log and "t_after" in committed:
        merged += 1
        assert outcome.startswith("ValueError" if fails else "StoreError: "), outcome
    resize(64_000)
    again = Store(disk / str(number))
    write(again, "t_again")
    assert again.publish() and not log_of(again.private).exists()
    assert tables(again.published) == sorted(committed), (tables(again.published), committed)
    shutil.rmtree(disk / str(number))
say([stale, merged, refused])
"""


def test_no_copy_is_published_while_a_log_of_the_store_remains(tmp_path: Path) -> None:
    """With room for more and more, the disk is full at the log, at its merging, at the copy, and not any more."""
    (told,) = on_small_disk(WRITES, tmp_path)
    stale, logs_that_stayed, refusals = json.loads(told)
    assert stale == 0
    assert logs_that_stayed > 0
    assert refusals > 0
