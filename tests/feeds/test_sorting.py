"""Messages in order of time, however many there are and in whatever order they come."""

import os
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqi_dagster.errors import InputFileError
from aqi_dagster.feeds import sorting
from aqi_dagster.feeds.checking import CHECKED_SCHEMA
from aqi_dagster.feeds.sorting import SortedMessages
from tests.support.lacking import lacking

TIMES = st.lists(st.lists(st.integers(-3, 30) | st.just(-(2**63)), max_size=30), max_size=8)


def table(times: list[int], first: int) -> pa.Table:
    """Messages with ``times``, numbered by their value from ``first`` on."""
    count = len(times)
    values = [b"%d" % (first + number) for number in range(count)]
    arrays = [
        pa.array(times, pa.int64()),
        pa.array(np.zeros(count, np.int32)),
        pa.array(np.zeros(count, np.int32)),
        pa.array(np.zeros(count)),
        pa.array([b"key"] * count, pa.binary()),
        pa.array(values, pa.binary()),
    ]
    return pa.Table.from_arrays(arrays, schema=CHECKED_SCHEMA)


def added(parts: list[list[int]]) -> tuple[list[tuple[int, int]], list[list[int]]]:
    """Time and number of the messages of all ``parts`` as they are read, and the times of each table."""
    with SortedMessages() as messages:
        first = 0
        for times in parts:
            messages.add(table(times, first))
            first += len(times)
        tables = [*messages.read()]
        again = [*messages.read()]
    assert tables == again
    found = [(row["time"], int(row["value"])) for part in tables for row in part.to_pylist()]
    return found, [part["time"].to_pylist() for part in tables]


@given(parts=TIMES, piece=st.integers(1, 2_000), rows=st.integers(1, 7))
def test_messages_come_in_order_of_time_and_then_as_they_were_added(
    parts: list[list[int]], piece: int, rows: int
) -> None:
    everything = [*enumerate(time for times in parts for time in times)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "PIECE_BYTES", piece)
        patch.setattr(sorting, "BATCH_ROWS", rows)
        found, tables = added(parts)
    assert found == sorted((time, number) for number, time in everything)
    together = [time for times in tables for time in dict.fromkeys(times)]
    assert len(set(together)) == len(together), "a time is in two tables"


def test_what_does_not_fit_goes_to_a_folder_that_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "PIECE_BYTES", 10_000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    random = Random(1)  # noqa: S311 (no secret)
    times = [random.randrange(10**6) for _ in range(20_000)]
    with SortedMessages() as messages:
        for start in range(0, len(times), 500):
            messages.add(table(times[start : start + 500], start))
        (folder,) = tmp_path.iterdir()
        assert len([*folder.iterdir()]) > 10
        assert [time for part in messages.read() for time in part["time"].to_pylist()] == sorted(times)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/dev/full").exists(), reason=lacking("a device that is full"))
def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "PIECE_BYTES", 1)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with SortedMessages() as messages:
        messages.add(table([1], 0))
        (folder,) = tmp_path.iterdir()
        (folder / "1.arrow").symlink_to("/dev/full")
        with pytest.raises(InputFileError, match=r"cannot be sorted: .*TMPDIR names another one"):
            messages.add(table([2], 1))
