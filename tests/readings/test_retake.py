"""Rejected messages that are decoded again: what is a reading by now becomes one, once, under its own offset."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.decoding.decode import decode
from aqi_dagster.pipeline.readings.insert import ingest
from aqi_dagster.pipeline.readings.retake import Retaken, retake_all, retake_due
from aqi_dagster.pipeline.store.connections import Store
from tests.support.messages import ALLOWANCE, FIRST_WINDOW, NOW, RawMessage, chunk, message, reject
from tests.support.store_processes import process
from tests.support.tables import rows
from tests.support.waiting import LIMIT_SECONDS
from tests.support.window_readings import SPOILT

PLACES = (
    "SELECT kafka_partition, kafka_offset FROM readings "
    "UNION ALL SELECT kafka_partition, kafka_offset FROM rejected_messages ORDER BY ALL"
)

DIES_IN_THE_THIRD_TRANSACTION = """
import os
from datetime import datetime, timedelta
from aqi_dagster.pipeline.readings import retake
retake.MOST_MESSAGES = 10
calls = 0
really_ingest = retake.ingest
def ingest(*arguments):
    global calls
    calls += 1
    if calls == 3:
        # What is taken again was dropped from the rejected messages, and is no reading yet.
        os.kill(os.getpid(), 9)
    return really_ingest(*arguments)
retake.ingest = ingest
with store.exclusive() as writer:
    retake.retake_all(writer, datetime(2022, 9, 1), timedelta(minutes=10))
"""


def sound(count: int, first: int = 0) -> list[RawMessage]:
    return [message(f"45.{n % 3}, -122", FIRST_WINDOW + timedelta(minutes=n), n) for n in range(first, first + count)]


def tables(connection: DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    names = "readings", "rejected_messages", "sensors", "windows"
    return {name: rows(connection, f"FROM {name} ORDER BY ALL") for name in names}


def test_what_is_a_reading_by_now_becomes_one_once_under_its_own_offset(connection: DuckDBPyConnection) -> None:
    reject(connection, [*sound(20), SPOILT])
    later = NOW + timedelta(days=1)
    assert retake_all(connection, later, ALLOWANCE) == Retaken(21, 20, 0)
    found = rows(connection, "SELECT kafka_offset, pm25_cf1, ingested_at FROM readings ORDER BY ALL")
    assert found == [(n, float(n), NOW) for n in range(20)]
    assert rows(connection, "SELECT kafka_offset, reason FROM rejected_messages") == [(20, "value is not JSON")]
    assert rows(connection, "SELECT sum(readings) FROM windows") == [(20,)]
    after = tables(connection)
    assert retake_all(connection, later, ALLOWANCE) == Retaken(1, 0, 0)
    assert tables(connection) == after


def test_what_came_otherwise_meanwhile_is_repeated_and_counts_no_second_time(connection: DuckDBPyConnection) -> None:
    reject(connection, sound(4))
    ingest(connection, decode(chunk(sound(3), first_offset=4), NOW, ALLOWANCE), 1, NOW)
    assert retake_all(connection, NOW, ALLOWANCE) == Retaken(4, 4, 3)
    repeated = rows(connection, "SELECT kafka_offset FROM readings WHERE repeated ORDER BY ALL")
    assert repeated == [(0,), (1,), (2,)]
    assert rows(connection, "SELECT sum(readings) FROM windows") == [(4,)]


def test_an_accepted_reading_never_becomes_a_reject(connection: DuckDBPyConnection) -> None:
    """Not even where the clock is behind by now."""
    ingest(connection, decode(chunk(sound(20)), NOW, ALLOWANCE), 1, NOW)
    reject(connection, [SPOILT], first_offset=20)
    before = tables(connection)["readings"]
    retake_all(connection, FIRST_WINDOW - timedelta(days=100), ALLOWANCE)
    assert tables(connection)["readings"] == before


def test_what_only_lies_in_the_future_waits_for_its_time(connection: DuckDBPyConnection) -> None:
    early = FIRST_WINDOW - ALLOWANCE
    messages = [message("45.1, -122", FIRST_WINDOW + timedelta(hours=n), n) for n in (2, 1, 3)]
    ingest(connection, decode(chunk([*messages, SPOILT]), early, ALLOWANCE), 1, early)
    due = "SELECT kafka_offset, due_at FROM rejected_messages WHERE due_at IS NOT NULL ORDER BY ALL"
    assert rows(connection, due) == [(place, FIRST_WINDOW + timedelta(hours=n)) for place, n in enumerate((2, 1, 3))]
    moment = FIRST_WINDOW + timedelta(hours=2) - ALLOWANCE
    assert retake_due(connection, moment - timedelta(seconds=1), ALLOWANCE) == Retaken(1, 1, 0)
    assert retake_due(connection, moment, ALLOWANCE) == Retaken(1, 1, 0)
    assert retake_due(connection, moment, ALLOWANCE) == Retaken()
    assert rows(connection, "SELECT kafka_offset FROM readings ORDER BY ALL") == [(0,), (1,)]
    assert len(rows(connection, due)) == 1


def test_being_killed_in_the_middle_doubles_and_loses_nothing(store: Store, tmp_path: Path) -> None:
    with store.exclusive() as connection:
        reject(connection, sound(45))
    with process(DIES_IN_THE_THIRD_TRANSACTION, tmp_path) as other:
        assert other.wait(LIMIT_SECONDS) == -9
    with store.exclusive() as connection:
        taken = rows(connection, "SELECT count(*) FROM readings")[0][0]
        assert 0 < taken < 45
        assert rows(connection, PLACES) == [(0, n) for n in range(45)]
        assert rows(connection, "SELECT sum(readings) FROM windows") == [(taken,)]
        assert retake_all(connection, NOW, ALLOWANCE) == Retaken(45 - taken, 45 - taken, 0)
        assert rows(connection, PLACES) == [(0, n) for n in range(45)]


@pytest.mark.parametrize("most_messages", [1, 7, 1000])
def test_of_two_readings_of_the_same_time_the_first_that_was_sent_counts(
    connection: DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch, most_messages: int
) -> None:
    monkeypatch.setattr("aqi_dagster.pipeline.readings.retake.MOST_MESSAGES", most_messages)
    twice = [message("45.1, -122", FIRST_WINDOW + timedelta(minutes=n % 10), n) for n in range(20)]
    reject(connection, twice[10:], first_offset=10)
    reject(connection, twice[:10])
    assert retake_all(connection, NOW, ALLOWANCE) == Retaken(20, 20, 10)
    assert rows(connection, "SELECT kafka_offset FROM readings WHERE repeated ORDER BY ALL") == [
        (n,) for n in range(10, 20)
    ]
