"""Disks that are full and folders that nobody may write: errors that say what to do, and a store that goes on."""

import json
from pathlib import Path

from tests.support.confined import on_small_disk, without_privileges

PREAMBLE = """
from aqi_dagster.errors import StoreError
from aqi_dagster.pipeline.store.connections import Store

INSERT = "INSERT INTO sensors (sensor, first_reading, last_reading, readings) "

def attempt(act):
    try:
        return act()
    except StoreError as error:
        return f"StoreError: {error}"
    except Exception as error:
        return f"raw: {type(error).__name__}: {error}"

def make(store, sensor="a"):
    with store.exclusive() as writer:
        writer.execute(INSERT.replace("INSERT", "INSERT OR IGNORE") + "VALUES (?, now(), now(), 1)", [sensor])
    return "made"
"""

MAKE_WITHOUT_ROOM = """
for kilobytes in range(8, 2400, 160):
    store = Store(disk / str(kilobytes))
    resize(kilobytes)
    first = attempt(lambda: make(store))
    resize(64_000)
    say([first, attempt(lambda: make(store)) if first != "made" else "made"])
    shutil.rmtree(store.published.parent)
"""

FILL = """
def fill(store):
    with store.exclusive() as writer:
        for number in range(1, 100):
            writer.execute(INSERT + "SELECT ? || hash(i)::TEXT || repeat(hash(i + 1)::TEXT, 9), now(), now(), 1 "
                           "FROM range(2000) AS t(i)", [f"{number} "])
            committed.append(number)

store, committed = Store(disk / "data"), []
make(store)
store.publish()
resize(6_000)
say(attempt(lambda: fill(store)))
say(attempt(store.publish))
with store.reader() as copy:
    say(copy.execute("SELECT sensor FROM sensors").fetchall())
resize(64_000)
say(attempt(lambda: make(Store(disk / "data", 1)) if not committed else "kept"))
with store.exclusive() as writer:
    query = "SELECT DISTINCT split_part(sensor, ' ', 1)::INTEGER FROM sensors WHERE sensor <> 'a' ORDER BY 1"
    say([number for (number,) in writer.execute(query).fetchall()] == committed)
    say(len(committed) > 0)
say(attempt(store.publish))
with store.reader() as copy:
    say(copy.execute("SELECT count(*) FROM sensors").fetchone()[0] == 1 + 2000 * len(committed))
"""

FORBIDDEN = """
import json, sys
from pathlib import Path

folder = Path(sys.argv[1])
store = Store(folder / "data")
make(store)
store.publish()
old = store.published.stat().st_ino

def report(name, act):
    print(json.dumps([name, attempt(act)]), flush=True)

def inspect():
    with store.inspect():
        return "open"

def dispatch():
    with store.dispatching():
        return "open"

(folder / "shut").mkdir(mode=0o500)
report("no data folder", lambda: make(Store(folder / "shut" / "data")))
store.private.chmod(0o400)
report("read-only store", lambda: make(store))
store.private.chmod(0o000)
report("hidden store", inspect)
store.private.chmod(0o600)
store.private.parent.chmod(0o500)
report("read-only folder of the store", lambda: make(store, "b"))
report("a lock that is not there yet", dispatch)
store.private.parent.chmod(0o700)
make(store)
store.published.parent.chmod(0o500)
report("read-only folder of the copy", store.publish)
store.published.parent.chmod(0o700)
assert store.published.stat().st_ino == old
report("all is well again", store.publish)
"""

MAY_NOT = {
    "no data folder": "The folder {}/shut/data/private cannot be written: Permission denied",
    "read-only store": "This user may not write the private store {}/data/private/store.duckdb",
    "hidden store": "This user may not read the private store {}/data/private/store.duckdb",
    "read-only folder of the store": "This user may not write everything in {}/data: ",
    "a lock that is not there yet": "The folder {}/data/private cannot be written: Permission denied",
    "read-only folder of the copy": "This user may not write everything in {}/data: ",
}


def test_a_store_that_a_full_disk_kept_from_being_made_is_made_once_there_is_room(tmp_path: Path) -> None:
    found = [json.loads(line) for line in on_small_disk(PREAMBLE + MAKE_WITHOUT_ROOM, tmp_path)]
    failed = [first for first, _ in found if first != "made"]
    assert len(failed) > 3
    assert [first for first in failed if "StoreError: " not in first] == []
    assert [first for first in failed if "Make room" not in first and "make room" not in first] == []
    assert [then for _, then in found] == ["made"] * len(found)


def test_a_disk_that_is_full_costs_nothing_that_was_committed_and_no_copy(tmp_path: Path) -> None:
    filled, published, shown, again, kept, some, then, complete = map(
        json.loads, on_small_disk(PREAMBLE + FILL, tmp_path)
    )
    for told in (filled, published):
        assert told.startswith(f"StoreError: The disk of {tmp_path}/data/private is full: ")
        assert "Make room" in told
    assert shown == [["a"]]
    assert (again, kept, some, then, complete) == ("kept", True, True, True, True)


def test_what_this_user_may_not_open_or_write_is_named_with_what_to_do(tmp_path: Path) -> None:
    found = dict(json.loads(line) for line in without_privileges(PREAMBLE + FORBIDDEN, tmp_path))
    assert found.pop("all is well again") is True
    assert set(found) == set(MAY_NOT)
    for name, text in MAY_NOT.items():
        assert found[name].startswith(f"StoreError: {text.format(tmp_path)}"), found[name]
        assert "right to" in found[name]
