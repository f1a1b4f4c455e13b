"""Pulls while our clock is wrong, and readings that lie in the future by a clock that is right."""

from collections.abc import Generator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer
from duckdb import DuckDBPyConnection

from aqi_dagster.errors import ClockError
from aqi_dagster.pipeline.readings.pull import PullPolicy, pull
from aqi_dagster.pipeline.readings.retake import Retaken
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.topic.batches import Batch
from aqi_dagster.pipeline.topic.reader import TopicReader
from tests.support.clocks import Clock
from tests.support.kafka_topics import kept
from tests.support.messages import FIRST_WINDOW, RawMessage, message
from tests.support.tables import rows
from tests.support.topics import Topic
from tests.support.window_readings import SENSORS

POLICY = PullPolicy()

START = FIRST_WINDOW + timedelta(days=5)
"""The present, by a clock that is right."""

HOUR, DAY = timedelta(hours=1), timedelta(days=1)

READINGS = "SELECT * EXCLUDE (ingested_at) FROM readings ORDER BY kafka_partition, kafka_offset"

WAITING = "SELECT kafka_partition, kafka_offset, due_at FROM rejected_messages ORDER BY ALL"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """One that is right."""
    return Clock(monkeypatch, START)


def reported(begin: datetime, end: datetime, sensors: Sequence[str] = SENSORS) -> list[RawMessage]:
    """What ``sensors`` report every half hour from ``begin`` to ``end``, excluded."""
    count = (end - begin) // timedelta(minutes=30)
    return [
        message(sensor, begin + number * timedelta(minutes=30), 5 + number / 10)
        for number in range(count)
        for sensor in sensors
    ]


def state(connection: DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    """All that a pull may change."""
    tables = "readings", "rejected_messages", "kafka_offsets", "pulled_offsets", "sensors", "windows"
    return {table: rows(connection, f"FROM {table} ORDER BY ALL") for table in tables}


@pytest.mark.parametrize("behind", [4 * DAY, 3000 * DAY])
def test_a_first_pull_by_a_clock_that_is_behind_keeps_nothing_and_names_the_clock(
    topic: Topic, connection: DuckDBPyConnection, clock: Clock, behind: timedelta
) -> None:
    topic.send(reported(FIRST_WINDOW, START))
    before = state(connection)
    clock.go_on(-behind)
    with pytest.raises(ClockError, match=f"the clock of this machine says {clock.now:%Y-%m-%d %H:%M} UTC. None of"):
        pull(connection, topic.reader(), POLICY)
    assert state(connection) == before
    clock.go_on(behind)
    report = pull(connection, topic.reader(), POLICY)
    assert (report.accepted, report.rejected) == (3 * 5 * 48, 0)


@pytest.mark.parametrize("behind", [13 * HOUR, 5 * DAY, 3000 * DAY])
def test_a_clock_that_lies_before_what_the_store_has_seen_is_named_before_anything_is_read(
    topic: Topic, connection: DuckDBPyConnection, clock: Clock, behind: timedelta
) -> None:
    topic.send(reported(FIRST_WINDOW, START))
    pull(connection, topic.reader(), POLICY)
    topic.send(reported(START, START + 12 * HOUR))
    before = state(connection)
    clock.go_on(12 * HOUR - behind)
    with pytest.raises(ClockError, match=f"it says {clock.now:%Y-%m-%d %H:%M} UTC, but 3 of 3 sensors have already"):
        pull(connection, topic.reader(), POLICY)
    assert state(connection) == before
    clock.go_on(behind)
    assert pull(connection, topic.reader(), POLICY).accepted == 3 * 24
    assert rows(connection, "SELECT count(*) FROM rejected_messages") == [(0,)]


def test_a_clock_that_is_a_little_behind_costs_no_reading(
    topic: Topic, connection: DuckDBPyConnection, clock: Clock
) -> None:
    """Neither most messages lie in the future by it, nor has the store seen any that do: they wait."""
    topic.send(reported(FIRST_WINDOW, START))
    clock.go_on(-3 * HOUR)
    report = pull(connection, topic.reader(), POLICY)
    assert (report.accepted, report.rejected) == (3 * (5 * 48 - 5), 3 * 5)
    clock.go_on(3 * HOUR)
    assert pull(connection, topic.reader(), POLICY).retaken.accepted == 3 * 5
    assert rows(connection, "SELECT count(*) FROM rejected_messages") == [(0,)]
    assert len(kept(connection)) == 3 * 5 * 48


def test_sensors_whose_own_clock_runs_ahead_stop_no_pull(
    topic: Topic, connection: DuckDBPyConnection, clock: Clock
) -> None:
    topic.send(reported(START - DAY, START))
    pull(connection, topic.reader(), POLICY)
    # Most of the messages, but of one sensor.
    topic.send(reported(START + 5 * DAY, START + 7 * DAY, SENSORS[:1]) + reported(START, START + HOUR, SENSORS[1:]))
    clock.go_on(HOUR)
    report = pull(connection, topic.reader(), POLICY)
    assert (report.accepted, report.rejected) == (4, 96)
    clock.go_on(6 * DAY)
    assert pull(connection, topic.reader(), POLICY).retaken.accepted == 51
    # Our clock was ahead, too: the one sensor remains ahead of it, while the others report on.
    clock.go_on(-5 * DAY)
    topic.send(reported(START + DAY, START + DAY + HOUR, SENSORS[1:]))
    assert pull(connection, topic.reader(), POLICY).accepted == 4
    assert len(kept(connection)) == 3 * 48 + 100 + 4


def test_what_is_past_when_a_long_pull_ends_is_taken_in_by_it(
    topic: Topic, connection: DuckDBPyConnection, clock: Clock
) -> None:
    """In its order: the first of two that say something of one moment comes before this pull, the other during it."""
    topic.send([message(SENSORS[0], START + HOUR, 1), message(SENSORS[1], START, 2)], partition=0)
    assert pull(connection, topic.reader(), POLICY).rejected == 1
    topic.send(
        [message(SENSORS[0], START + HOUR, 3), message(SENSORS[1], START + timedelta(minutes=1), 4)], partition=0
    )

    class Slow(TopicReader):
        """Takes two hours for each batch."""

        def batches(self, consumer: Consumer, starts: Mapping[int, int | None]) -> Generator[Batch]:
            for batch in super().batches(consumer, starts):
                clock.go_on(2 * HOUR)
                yield batch

    report = pull(connection, topic.reader(Slow), POLICY)
    assert (report.accepted, report.rejected, report.retaken) == (1, 1, Retaken(2, 2, 1))
    found = rows(connection, "SELECT kafka_offset, pm25_cf1, repeated FROM readings ORDER BY ALL")
    assert found == [(0, 1.0, False), (1, 2.0, False), (2, 3.0, True), (3, 4.0, False)]


def minutes_ahead(number: int) -> list[RawMessage]:
    """What comes in the quarter of an hour ``number``: by one sensor that is right, one ahead, and one that repeats.

    The last one says of each moment two things, an hour before it and when that is due: the first one counts.
    """
    now = START + number * timedelta(minutes=15)
    return [
        message(SENSORS[0], now + timedelta(minutes=3), number),
        message(SENSORS[1], now + timedelta(minutes=55), number),
        message(SENSORS[2], now + timedelta(hours=1), 100 + number),
        message(SENSORS[2], now + timedelta(minutes=15), 200 + number),
    ]


def test_pulling_every_quarter_of_an_hour_and_every_12_hours_gives_equal_readings(
    topic: Topic, connection: DuckDBPyConnection, clock: Clock, tmp_path: Path
) -> None:
    waited = 0
    for number in range(24):
        topic.send(minutes_ahead(number), partition=0)
        clock.now = START + (number + 1) * timedelta(minutes=15)
        waited = max(waited, pull(connection, topic.reader(), POLICY).rejected)
        kept(connection)
    assert waited == 2
    with Store(tmp_path / "seldom").exclusive() as seldom:
        pull(seldom, topic.reader(), POLICY)
        assert rows(seldom, READINGS) == rows(connection, READINGS)
        assert rows(seldom, WAITING) == rows(connection, WAITING)
        clock.go_on(12 * HOUR)
        for store in (connection, seldom):
            pull(store, topic.reader(), POLICY)
        found = rows(seldom, READINGS)
        assert found == rows(connection, READINGS)
        assert len(found) == len(kept(seldom)) == 24 * 4
        # Of two that say something of the same moment, the one of the lower offset.
        counted = "SELECT count(*) FILTER (NOT repeated AND pm25_cf1 < 200), count(*) FILTER (repeated) FROM readings"
        assert rows(seldom, f"{counted} WHERE sensor = '{SENSORS[2]}'") == [(24, 21)]
