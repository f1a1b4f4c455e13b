"""Reading partitions to their ends, in bounded chunks, and what is said when the broker no longer has an offset."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from duckdb import DuckDBPyConnection

from aqi_dagster.errors import OffsetBeyondEndError, OffsetsExpiredError
from aqi_dagster.pipeline.readings.pull import PullPolicy, pull
from aqi_dagster.pipeline.topic import reader as consuming
from aqi_dagster.pipeline.topic.batches import Batch
from aqi_dagster.pipeline.topic.reader import TopicReader
from tests.support.messages import FIRST_WINDOW, message
from tests.support.tables import rows
from tests.support.topics import Topic
from tests.support.waiting import LIMIT_SECONDS

HERE = "45.5, -122.6"


@dataclass
class ScriptedConsumer:
    """Stands for librdkafka's consumer where it has to answer in one certain order."""

    batches: list[list[Message]]
    log_end: int
    unassigned: list[int] = field(default_factory=list)

    def list_topics(self, topic: str, timeout: float) -> None:
        assert topic == "t"

    def assign(self, partitions: list[TopicPartition]) -> None:
        assert [partition.topic for partition in partitions] == ["t"]

    def consume(self, number: int, timeout: float) -> list[Message]:
        return self.batches.pop(0)

    def get_watermark_offsets(self, partition: TopicPartition, cached: bool) -> tuple[int, int]:
        assert cached
        return 0, self.log_end

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        self.unassigned += [partition.partition for partition in partitions]


def received(offset: int) -> Message:
    return Message(topic="t", partition=3, offset=offset, key=b"k", value=b"v")


def end_of_log(offset: int) -> Message:
    return Message(topic="t", partition=3, offset=offset, error=KafkaError(KafkaError._PARTITION_EOF))


@pytest.mark.parametrize(
    ("batches", "log_end", "offsets"),
    [
        ([[end_of_log(5)]], 5, []),
        ([[received(5)], [received(6)]], 7, [5, 6]),
        ([[received(5), received(6), received(7)]], 7, [5, 6, 7]),
        ([[end_of_log(5), received(5)]], 5, [5]),
        ([[received(5), end_of_log(6), received(6), end_of_log(7)]], 9, [5, 6]),
        ([[received(5)], [end_of_log(7)]], 7, [5]),
        ([[received(5)], [end_of_log(6)]], -1001, [5]),
    ],
    ids=[
        "nothing new",
        "to the end of the log",
        "more than there was at first",
        "a message that came with the end",
        "two ends in one batch",
        "an offset without message at the end",
        "an end that librdkafka does not know",
    ],
)
def test_the_next_offset_is_behind_what_was_read(
    batches: list[list[Message]], log_end: int, offsets: list[int]
) -> None:
    last = [entry for batch in batches for entry in batch][-1].offset()
    consumer = ScriptedConsumer(list(batches), log_end)
    (chunk,) = TopicReader({}, "t").batches(consumer, {3: 5})  # type: ignore[arg-type]
    assert chunk.messages["kafka_offset"].to_pylist() == offsets
    assert chunk.next_offsets == {3: max([last, *(offset + 1 for offset in offsets)])}
    assert consumer.batches == []
    assert consumer.unassigned == [3]


@pytest.mark.parametrize(("bound", "most"), [({"chunk_messages": 30}, 30), ({"chunk_bytes": 3000}, 40)])
def test_chunks_are_bounded(topic: Topic, bound: dict[str, int], most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consuming, "POLL_MESSAGES", 10)
    topic.send([message(HERE, FIRST_WINDOW, n) for n in range(100)], partition=1)
    reader = topic.reader(**bound)
    with reader.consumer() as consumer:
        chunks = list(reader.batches(consumer, {1: None, 2: None}))
    sizes = [chunk.messages.num_rows for chunk in chunks]
    assert sum(sizes) == 100
    assert max(sizes) <= most
    assert [chunk.next_offsets[1] for chunk in chunks if chunk.messages.num_rows] == [
        sum(sizes[: n + 1]) for n in range(len(sizes)) if sizes[n]
    ]


class Retaining(TopicReader):
    """A reader of librdkafka's mock broker, which keeps 5 MB of a partition, and does not describe topics."""

    def describe(self) -> consuming.Topic:
        return consuming.Topic(self.topic, None, (0,))


@pytest.fixture(scope="module")
def broker_with_retention() -> Producer:
    """A producer whose client runs a mock broker, which drops the oldest messages beyond 5 MB."""
    return Producer({"test.mock.num.brokers": 1, "log_level": 0})


def retaining_reader(producer: Producer, topic: str) -> Retaining:
    (broker,) = producer.list_topics(timeout=LIMIT_SECONDS).brokers.values()
    return Retaining(
        {"bootstrap.servers": f"{broker.host}:{broker.port}", "log_level": 0}, topic, timeout=LIMIT_SECONDS
    )


def produce(producer: Producer, topic: str, count: int, bytes_each: int = 0) -> None:
    for number in range(count):
        key, value = message(HERE, FIRST_WINDOW, number, padding="." * bytes_each)
        producer.produce(topic, value, key, 0)
        assert producer.flush(LIMIT_SECONDS) == 0


def test_offsets_that_retention_removed_are_an_error_unless_they_may_be_skipped(
    broker_with_retention: Producer, connection: DuckDBPyConnection
) -> None:
    reader = retaining_reader(broker_with_retention, "expiring")
    produce(broker_with_retention, "expiring", 3)
    assert pull(connection, reader, PullPolicy()).next_offsets == {0: 3}
    produce(broker_with_retention, "expiring", 10, bytes_each=900_000)
    with pytest.raises(OffsetsExpiredError, match="KAFKA_ON_EXPIRED_OFFSETS=skip") as caught:
        pull(connection, reader, PullPolicy())
    report = pull(connection, reader, PullPolicy(skip_expired_offsets=True))
    ((first, last),) = rows(connection, "SELECT first_offset, last_offset FROM offset_gaps")
    assert first == 3
    assert f"'expiring' at {reader.servers}, partition 0: offsets 3 to {last} were removed" in str(caught.value)
    assert report.accepted == 13 - (last + 1)
    assert report.next_offsets == {0: 13}
    assert pull(connection, reader, PullPolicy()).accepted == 0


def test_an_offset_beyond_the_end_of_the_log_is_named(
    broker_with_retention: Producer, connection: DuckDBPyConnection
) -> None:
    reader = retaining_reader(broker_with_retention, "truncated")
    produce(broker_with_retention, "truncated", 3)
    pull(connection, reader, PullPolicy())
    connection.execute("UPDATE kafka_offsets SET next_offset = 50")
    with pytest.raises(OffsetBeyondEndError, match="next offset to read is 50, but the log ends at 3") as caught:
        pull(connection, reader, PullPolicy(skip_expired_offsets=True))
    assert f"'truncated' at {reader.servers}, partition 0" in str(caught.value)
    assert rows(connection, "SELECT next_offset FROM kafka_offsets") == [(50,)]


def test_a_chunk_counts_its_messages_by_partition(topic: Topic) -> None:
    topic.send([message(HERE, FIRST_WINDOW, n) for n in range(10)])
    reader = topic.reader()
    with reader.consumer() as consumer:
        chunks: list[Batch] = list(reader.batches(consumer, {0: 1, 1: None, 2: 2}))
    assert chunks[0].messages_by_partition() == {0: 2, 1: 3}
    assert chunks[0].next_offsets == {0: 3, 1: 3, 2: 2}


def test_only_committed_messages_are_asked_for_whatever_the_settings_say(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded broker knows no transactions that are aborted; Apache Kafka is asked for them in tests/kafka."""
    asked: list[dict[str, Any]] = []

    class Watched(Consumer):
        def __init__(self, settings: dict[str, Any], **others: Any) -> None:
            asked.append(settings)
            super().__init__(settings, **others)

    monkeypatch.setattr(consuming, "Consumer", Watched)
    ours = {"isolation.level": "read_uncommitted", "enable.auto.commit": True, "auto.offset.reset": "latest"}
    reader = replace(topic.reader(), librdkafka={**topic.reader().librdkafka, **ours})
    with reader.consumer():
        pass
    (settings,) = asked
    fixed = {name: settings[name] for name in [*ours, "enable.partition.eof"]}
    assert fixed == {
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
    }


@pytest.mark.parametrize("limit", [1_000, 3_000_000, "3000000"])
def test_messages_may_be_longer_than_what_is_fetched_at_once(topic: Topic, limit: int | str) -> None:
    reader = replace(topic.reader(), librdkafka={**topic.reader().librdkafka, "message.max.bytes": limit})
    topic.send([message(HERE, FIRST_WINDOW, n) for n in range(3)])
    with reader.consumer() as consumer:
        batches = list(reader.batches(consumer, {0: None, 1: None, 2: None}))
    assert sum(batch.messages.num_rows for batch in batches) == 3
