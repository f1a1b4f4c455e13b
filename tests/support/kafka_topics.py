"""Topics on Apache Kafka: readings, the books that must balance, and faults in the middle of a pull."""

import dataclasses
import itertools
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from datetime import timedelta
from uuid import uuid4

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.readings.accounting import missing_offsets, unaccounted_messages
from aqi_dagster.pipeline.topic.batches import Batch
from aqi_dagster.pipeline.topic.reader import Topic as Description
from aqi_dagster.pipeline.topic.reader import TopicReader
from tests.support.kafka_cluster import Login
from tests.support.messages import FIRST_WINDOW, RawMessage, message
from tests.support.tables import rows
from tests.support.topics import Topic
from tests.support.waiting import LIMIT_SECONDS, wait_for

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
    topics = AdminClient({"bootstrap.servers": topic.servers}).list_topics(timeout=LIMIT_SECONDS).topics
    return len(topics[topic.name].partitions) if topic.name in topics else 0


def await_partitions(topic: Topic, count: int) -> None:
    """Return when the broker serves what its controller has already confirmed."""
    wait_for(f"{count} partitions of {topic.name}", lambda: partition_count(topic) == count, pause=0.02)


def await_end(topic: Topic, partition: int, end: int) -> None:
    """Return when consumers may read up to offset ``end``: a broker ends transactions after it has confirmed that."""
    place = TopicPartition(topic.name, partition)
    with closing(Consumer({"bootstrap.servers": topic.servers, "group.id": "test"})) as consumer:
        wait_for(
            f"end of log at {end}",
            lambda: consumer.get_watermark_offsets(place, timeout=LIMIT_SECONDS)[1] == end,
            pause=0.02,
        )


def recreate(topic: Topic) -> None:
    """Delete the topic and make it again under its name."""
    topic.delete()
    await_partitions(topic, 0)
    topic.create()
    await_partitions(topic, 4)


def meanwhile(topic: Topic, event: Callable[[], object], timeout_afterwards: float = LIMIT_SECONDS) -> TopicReader:
    """A reader of ``topic`` by small fetches and batches.

    ``event`` happens before its third batch, once the store holds the first. Until then the reader waits for as long as
    a busy broker needs, and then for ``timeout_afterwards`` seconds.
    """
    first_is_stored = threading.Event()
    descriptions = itertools.count(1)

    class Interrupted(TopicReader):
        def describe(self) -> Description:
            description = super().describe()
            # A pull describes the topic when it begins, and before it stores each chunk.
            if next(descriptions) == 3:
                first_is_stored.set()
            return description

        def batches(self, consumer: Consumer, starts: Mapping[int, int | None]) -> Generator[Batch]:
            for number, batch in enumerate(super().batches(consumer, starts)):
                if number == 2:
                    assert first_is_stored.wait(LIMIT_SECONDS)
                    event()
                    # The reader is frozen for everyone else.
                    object.__setattr__(self, "timeout", timeout_afterwards)
                yield batch

    reader = topic.reader(Interrupted, chunk_messages=50)
    return dataclasses.replace(reader, librdkafka={**reader.librdkafka, **SMALL_FETCHES})
