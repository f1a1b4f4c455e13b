"""Topics on Apache Kafka: readings, the books that must balance, and faults in the middle of a pull."""

import dataclasses
import time
from collections.abc import Callable, Generator, Mapping
from datetime import timedelta
from uuid import uuid4

from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.readings.accounting import missing_offsets, unaccounted_messages
from aqi_dagster.pipeline.topic.batches import Batch
from aqi_dagster.pipeline.topic.reader import TopicReader
from tests.support.kafka_cluster import Login
from tests.support.messages import FIRST_WINDOW, RawMessage, message
from tests.support.tables import rows
from tests.support.topics import Topic

LOGIN = Login("pipeline", f"secret-{uuid4().hex}")


SMALL_FETCHES: Mapping[str, int] = {
    "queued.min.messages": 1,
    "queued.max.messages.kbytes": 1,
    "message.max.bytes": 1000,
    "fetch.max.bytes": 1000,
    "max.partition.fetch.bytes": 1000,
    "fetch.queue.backoff.ms": 10,
}
"""librdkafka settings by which the client holds little that was not asked for yet: the rest is still to be fetched."""


def readings(count: int, first: int = 0) -> list[RawMessage]:
    """Messages that differ in sensor and time; their PM2.5 counts from ``first`` on."""
    return [message(f"45.{n % 8}, -122", FIRST_WINDOW + timedelta(minutes=n), n) for n in range(first, first + count)]


def kept(connection: DuckDBPyConnection) -> list[tuple[int, int]]:
    """Kafka partition and offset of every row that was made of a message, in order; one message may not make two.

    The books must balance with them.
    """
    assert unaccounted_messages(connection) + missing_offsets(connection) == []
    places = rows(
        connection,
        "SELECT kafka_partition, kafka_offset FROM readings "
        "UNION ALL SELECT kafka_partition, kafka_offset FROM rejected_messages ORDER BY ALL",
    )
    assert len(places) == len(set(places))
    return [(partition, offset) for partition, offset in places]


def send_in_batches(topic: Topic, messages: list[RawMessage], batch: int = 20) -> list[tuple[int, int]]:
    """Produce ``messages`` to partition 0 in batches, which are what a consumer fetches; returns where they landed."""
    slices = [messages[start : start + batch] for start in range(0, len(messages), batch)]
    return [place for few in slices for place in topic.send(few, partition=0)]


def partition_count(topic: Topic) -> int:
    """How many partitions the broker says that ``topic`` has; 0 if there is none."""
    topics = AdminClient({"bootstrap.servers": topic.servers}).list_topics(timeout=10).topics
    return len(topics[topic.name].partitions) if topic.name in topics else 0


def await_partitions(topic: Topic, count: int) -> None:
    """Return when the broker serves what its controller has already confirmed."""
    deadline = time.monotonic() + 10
    while partition_count(topic) != count:
        assert time.monotonic() < deadline, f"{topic.name} does not come to have {count} partitions"
        time.sleep(0.02)


def recreate(topic: Topic) -> None:
    """Delete the topic and make it again under its name."""
    topic.delete()
    await_partitions(topic, 0)
    topic.create()
    await_partitions(topic, 4)


def meanwhile(topic: Topic, event: Callable[[], object], timeout: float = 30.0) -> TopicReader:
    """A reader of ``topic`` by small fetches and batches, before whose third batch ``event`` happens."""

    class Interrupted(TopicReader):
        def batches(self, consumer: Consumer, starts: Mapping[int, int | None]) -> Generator[Batch]:
            for number, batch in enumerate(super().batches(consumer, starts)):
                if number == 2:
                    event()
                yield batch

    reader = topic.reader(Interrupted, chunk_messages=50, timeout=timeout)
    return dataclasses.replace(reader, librdkafka={**reader.librdkafka, **SMALL_FETCHES})
