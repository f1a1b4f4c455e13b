"""Pulling from a real broker: everything once, whatever goes wrong in between."""

import threading
from collections.abc import Generator, Mapping
from datetime import timedelta

import pytest
from confluent_kafka import Consumer, TopicPartition
from duckdb import DuckDBPyConnection

from aqi_dagster.errors import (
    ConcurrentPullError,
    KafkaUnavailableError,
    PartitionStalledError,
    TopicMissingError,
    TopicRecreatedError,
)
from aqi_dagster.pipeline.readings.accounting import missing_offsets, unaccounted_messages
from aqi_dagster.pipeline.readings.pull import PullPolicy, PullReport, pull
from aqi_dagster.pipeline.topic.batches import Batch
from aqi_dagster.pipeline.topic.reader import TopicReader
from tests.support.messages import FIRST_WINDOW, RawMessage, message
from tests.support.tables import rows
from tests.support.topics import Topic
from tests.support.waiting import LIMIT_SECONDS

POLICY = PullPolicy()

PLACES = (
    "SELECT kafka_partition, kafka_offset FROM readings "
    "UNION ALL SELECT kafka_partition, kafka_offset FROM rejected_messages ORDER BY ALL"
)


def messages(count: int, first: int = 0) -> list[RawMessage]:
    return [message(f"45.{n % 8}, -122", FIRST_WINDOW + timedelta(minutes=n), n) for n in range(first, first + count)]


class Interrupted(TopicReader):
    """Fails before it gives the third batch, as a broker may that goes away."""

    def batches(self, consumer: Consumer, starts: Mapping[int, int | None]) -> Generator[Batch]:
        for number, batch in enumerate(super().batches(consumer, starts)):
            if number == 2:
                raise ConnectionAbortedError
            yield batch


def test_a_pull_takes_in_everything_and_the_next_one_nothing(topic: Topic, connection: DuckDBPyConnection) -> None:
    places = topic.send(messages(1000))
    report = pull(connection, topic.reader(), POLICY)
    assert report == PullReport(1000, 0, 0, {0: 250, 1: 250, 2: 250, 3: 250})
    assert rows(connection, PLACES) == sorted(places)
    assert rows(connection, "SELECT pm25_cf1 FROM readings ORDER BY ALL") == [(float(n),) for n in range(1000)]
    assert pull(connection, topic.reader(), POLICY) == PullReport(0, 0, 0, report.next_offsets)
    topic.send(messages(3, first=1000), partition=2)
    assert pull(connection, topic.reader(), POLICY).accepted == 3
    assert unaccounted_messages(connection) + missing_offsets(connection) == []


def test_fields_that_had_to_be_emptied_are_in_the_report(topic: Topic, connection: DuckDBPyConnection) -> None:
    odd = [message("45, -122", FIRST_WINDOW + timedelta(minutes=n), n, RSSI_dbm="nan") for n in range(100)]
    topic.send(messages(100) + odd)
    report = pull(connection, topic.reader(chunk_messages=50), POLICY)
    assert (report.accepted, report.rejected, report.emptied) == (200, 0, {"RSSI_dbm": 100})
    assert rows(connection, "SELECT count(*) FROM readings WHERE rssi IS NULL") == [(200,)]


def test_an_empty_topic_is_no_error(topic: Topic, connection: DuckDBPyConnection) -> None:
    assert pull(connection, topic.reader(), POLICY) == PullReport(0, 0, 0, {0: 0, 1: 0, 2: 0, 3: 0})
    topic.send(messages(8))
    assert pull(connection, topic.reader(), POLICY).accepted == 8


def test_a_pull_goes_on_behind_the_chunks_of_one_that_failed(topic: Topic, connection: DuckDBPyConnection) -> None:
    places = topic.send(messages(400))
    with pytest.raises(ConnectionAbortedError):
        pull(connection, topic.reader(Interrupted, chunk_messages=100), POLICY)
    kept = rows(connection, PLACES)
    assert 0 < len(kept) < 400
    assert unaccounted_messages(connection) + missing_offsets(connection) == []
    report = pull(connection, topic.reader(chunk_messages=100), POLICY)
    assert (report.accepted, report.repeated) == (400 - len(kept), 0)
    assert rows(connection, PLACES) == sorted(places)


def test_a_chunk_that_fails_midway_leaves_neither_rows_nor_offsets(
    topic: Topic, connection: DuckDBPyConnection
) -> None:
    topic.send(messages(20))
    with pytest.raises(OverflowError):
        pull(connection, topic.reader(), PullPolicy(future_allowance=timedelta.max))
    assert rows(connection, "SELECT * FROM kafka_offsets") == rows(connection, PLACES) == []
    assert pull(connection, topic.reader(), POLICY).accepted == 20


def test_a_topic_that_grows_while_it_is_read_is_read_exactly_once(topic: Topic, connection: DuckDBPyConnection) -> None:
    stop, places = threading.Event(), []

    def grow() -> None:
        while not stop.wait(0.002):
            places.extend(topic.send(messages(1, first=len(places)), partition=len(places) % 4))

    producer = threading.Thread(target=grow)
    producer.start()
    try:
        for _ in range(8):
            pull(connection, topic.reader(), POLICY)
    finally:
        stop.set()
        producer.join()
    pull(connection, topic.reader(), POLICY)
    assert rows(connection, PLACES) == sorted(places)
    assert unaccounted_messages(connection) + missing_offsets(connection) == []


def test_messages_without_key_or_value_are_rejected_with_their_bytes(
    topic: Topic, connection: DuckDBPyConnection
) -> None:
    key, value = message("45.5, -122", FIRST_WINDOW, 1)
    strange: list[RawMessage] = [(None, value), (key, None), (None, None), (b"", b""), (b"\xff\x00", b"\x00\xfe")]
    topic.send(strange, partition=3)
    topic.send([(key, value)], partition=3)
    assert pull(connection, topic.reader(), POLICY) == PullReport(1, 0, 5, {0: 0, 1: 0, 2: 0, 3: 6})
    assert rows(connection, "SELECT key, value FROM rejected_messages ORDER BY kafka_offset") == strange
    assert unaccounted_messages(connection) + missing_offsets(connection) == []


def test_offsets_are_committed_to_the_group_for_lag_monitors(topic: Topic, connection: DuckDBPyConnection) -> None:
    topic.send(messages(9), partition=1)
    pull(connection, topic.reader(), POLICY)
    monitor = Consumer({"bootstrap.servers": topic.servers, "group.id": "aqi_dagster"})
    (position,) = monitor.committed([TopicPartition(topic.name, 1)], timeout=LIMIT_SECONDS)
    monitor.close()
    assert position.offset == 9


def test_a_partition_that_the_store_does_not_know_is_read_from_its_beginning(
    topic: Topic, connection: DuckDBPyConnection
) -> None:
    topic.send(messages(8))
    pull(connection, topic.reader(), POLICY)
    connection.execute("DELETE FROM kafka_offsets WHERE kafka_partition = 3")
    connection.execute("DELETE FROM readings WHERE kafka_partition = 3")
    assert pull(connection, topic.reader(), POLICY).next_offsets == {0: 2, 1: 2, 2: 2, 3: 2}
    assert len(rows(connection, PLACES)) == 8


def test_a_topic_that_does_not_exist_is_named(topic: Topic, connection: DuckDBPyConnection) -> None:
    missing = Topic("no-such-topic", topic.servers)
    with pytest.raises(TopicMissingError, match=rf"broker at {topic.servers} has no topic 'no-such-topic'"):
        pull(connection, missing.reader(), POLICY)


def test_a_broker_that_is_down_is_named(connection: DuckDBPyConnection) -> None:
    with pytest.raises(KafkaUnavailableError, match=r"broker at 127\.0\.0\.1:1 did not describe topic 'any'"):
        pull(connection, Topic("any", "127.0.0.1:1").reader(timeout=0.5), POLICY)


def test_an_offset_that_the_broker_never_answers_is_an_error_and_not_the_end(
    topic: Topic, connection: DuckDBPyConnection
) -> None:
    topic.send(messages(40))
    pull(connection, topic.reader(), POLICY)
    connection.execute("UPDATE kafka_offsets SET next_offset = 500 WHERE kafka_partition = 2")
    topic.send(messages(4, first=40))
    with pytest.raises(PartitionStalledError) as stalled:
        pull(connection, topic.reader(timeout=5.0), POLICY)
    assert all(
        text in str(stalled.value)
        for text in [topic.servers, topic.name, "partition 2 at offset 500", "KAFKA_TIMEOUT_SECONDS"]
    )
    # What the other partitions gave before is kept.
    kept = "SELECT kafka_partition, next_offset FROM kafka_offsets ORDER BY ALL"
    assert rows(connection, kept) == [(0, 11), (1, 11), (2, 500), (3, 11)]
    assert len(rows(connection, PLACES)) == 43


def test_a_topic_that_was_made_anew_is_reread_only_on_request(topic: Topic, connection: DuckDBPyConnection) -> None:
    topic.send(messages(8))
    pull(connection, topic.reader(), POLICY)
    topic.delete()
    topic.create()
    topic.send(messages(12))
    with pytest.raises(TopicRecreatedError, match="KAFKA_ON_RECREATED_TOPIC=reread") as caught:
        pull(connection, topic.reader(), POLICY)
    assert f"'{topic.name}'" in str(caught.value)
    assert len(rows(connection, PLACES)) == 8
    reread = pull(connection, topic.reader(), PullPolicy(reread_recreated_topic=True))
    assert (reread.accepted, reread.repeated) == (12, 8)
    assert rows(connection, "SELECT count(*), max(topic_generation) FROM readings WHERE repeated") == [(8, 2)]
    assert pull(connection, topic.reader(), POLICY).accepted == 0
    assert unaccounted_messages(connection) + missing_offsets(connection) == []


def test_what_was_read_of_a_topic_that_is_made_anew_meanwhile_is_not_kept(
    topic: Topic, connection: DuckDBPyConnection
) -> None:
    """Its offsets would be taken for those of the topic before."""

    class Remade(TopicReader):
        def batches(self, consumer: Consumer, starts: Mapping[int, int | None]) -> Generator[Batch]:
            read = list(super().batches(consumer, starts))
            topic.delete()
            topic.create()
            yield from read

    topic.send(messages(40))
    with pytest.raises(TopicRecreatedError, match="made again while it was read"):
        pull(connection, topic.reader(Remade), POLICY)
    assert rows(connection, "SELECT * FROM kafka_offsets") == rows(connection, PLACES) == []


def test_a_row_that_stands_for_another_is_noticed(topic: Topic, connection: DuckDBPyConnection) -> None:
    """As many rows as messages are not enough: one offset may be there twice, and another be missing."""
    topic.send(messages(8))
    pull(connection, topic.reader(), POLICY)
    connection.execute("UPDATE readings SET kafka_offset = 0 WHERE kafka_partition = 2 AND kafka_offset = 1")
    (fault,) = unaccounted_messages(connection)
    assert str(fault) == "partition 2 (generation 1): 2 messages read, 2 rows kept, 1 offsets among them"


def test_another_topic_than_before_is_refused(topic: Topic, connection: DuckDBPyConnection) -> None:
    pull(connection, topic.reader(), POLICY)
    other = Topic(f"{topic.name}-other", topic.servers)
    other.create()
    with pytest.raises(TopicRecreatedError, match="settings point to another topic"):
        pull(connection, other.reader(), POLICY)


def test_of_two_pulls_at_once_one_gives_up_and_nothing_is_doubled(topic: Topic, connection: DuckDBPyConnection) -> None:
    class Overtaken(TopicReader):
        """Lets another pull read the whole topic before it gives its first batch."""

        def batches(self, consumer: Consumer, starts: Mapping[int, int | None]) -> Generator[Batch]:
            pull(connection.cursor(), topic.reader(), POLICY)
            yield from super().batches(consumer, starts)

    places = topic.send(messages(400))
    with pytest.raises(ConcurrentPullError, match=rf"Topic '{topic.name}', partition \d: another pull moved"):
        pull(connection, topic.reader(Overtaken, chunk_messages=100), POLICY)
    assert rows(connection, PLACES) == sorted(places)
    assert unaccounted_messages(connection) + missing_offsets(connection) == []


def test_a_row_that_went_missing_is_noticed(topic: Topic, connection: DuckDBPyConnection) -> None:
    topic.send(messages(8))
    pull(connection, topic.reader(), POLICY)
    connection.execute("DELETE FROM readings WHERE kafka_partition = 2 AND kafka_offset = 1")
    (fault,) = unaccounted_messages(connection)
    assert str(fault) == "partition 2 (generation 1): 2 messages read, 1 rows kept, 1 offsets among them"


def test_offsets_that_no_pull_read_are_noticed(topic: Topic, connection: DuckDBPyConnection) -> None:
    for _ in range(3):
        topic.send(messages(8))
        pull(connection, topic.reader(), POLICY)
    assert missing_offsets(connection) == []
    connection.execute("DELETE FROM pulled_offsets WHERE kafka_partition = 3 AND first_offset = 2")
    (fault,) = missing_offsets(connection)
    assert str(fault) == "partition 3 (generation 1): offset 4 was read after 2"
    connection.execute("INSERT INTO offset_gaps VALUES (1, 3, 2, 3, now())")
    assert missing_offsets(connection) == []
