"""How records may come on Apache Kafka: in transactions, compressed, without key or value, and large."""

import random
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.readings.pull import PullPolicy, PullReport, pull
from aqi_dagster.pipeline.reporting.status import partition_status
from tests.support.kafka_cluster import ApacheKafka
from tests.support.kafka_topics import await_end, await_partitions, kept, readings
from tests.support.messages import FIRST_WINDOW, RawMessage, message
from tests.support.tables import rows
from tests.support.topics import Topic
from tests.support.waiting import LIMIT_SECONDS

POLICY = PullPolicy()

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
"""Each at the place of its number in the attributes of a record batch."""


@pytest.fixture
def transactions(topic: Topic) -> Iterator[Producer]:
    """A producer that may begin transactions."""
    producer = Producer({"bootstrap.servers": topic.servers, "transactional.id": topic.name})
    producer.init_transactions(LIMIT_SECONDS)
    yield producer
    producer.purge()
    producer.flush(LIMIT_SECONDS)


def begin(producer: Producer, topic: Topic, messages: list[RawMessage]) -> None:
    """Have ``messages`` in the log of partition 0, in a transaction that is left open."""
    producer.begin_transaction()
    for key, value in messages:
        producer.produce(topic.name, value, key, 0)
    assert producer.flush(LIMIT_SECONDS) == 0


def codecs_in(segment: bytes) -> set[int]:
    """Numbers of the codecs of the record batches in a file of Kafka's log.

    A batch begins with its offset (8 bytes) and the length of what follows (4); its attributes are its bytes 21 and 22.
    """
    found, start = set(), 0
    while start < len(segment):
        found.add(int.from_bytes(segment[start + 21 : start + 23]) & 0b111)
        start += 12 + int.from_bytes(segment[start + 8 : start + 12])
    return found


def lag(connection: DuckDBPyConnection, topic: Topic) -> list[int | None]:
    return [place.lag for place in partition_status(connection, topic.reader())[0]]


@pytest.mark.fault("aborted transaction")
def test_committed_messages_are_read_and_aborted_ones_never(
    topic: Topic, transactions: Producer, connection: DuckDBPyConnection
) -> None:
    begin(transactions, topic, readings(30))
    transactions.commit_transaction(LIMIT_SECONDS)
    begin(transactions, topic, readings(20, first=30))
    transactions.abort_transaction(LIMIT_SECONDS)
    begin(transactions, topic, readings(10, first=50))
    transactions.commit_transaction(LIMIT_SECONDS)
    # Each end of a transaction takes an offset of its own: 30 committed, 1, 20 aborted, 1, 10 committed, 1.
    await_end(topic, 0, 63)
    assert pull(connection, topic.reader(), POLICY) == PullReport(40, 0, 0, {0: 63, 1: 0, 2: 0, 3: 0})
    assert kept(connection) == [(0, offset) for offset in [*range(30), *range(52, 62)]]
    assert lag(connection, topic) == [0, 0, 0, 0]
    begin(transactions, topic, readings(5, first=60))
    transactions.abort_transaction(LIMIT_SECONDS)
    await_end(topic, 0, 69)
    assert lag(connection, topic) == [6, 0, 0, 0]
    assert pull(connection, topic.reader(), POLICY) == PullReport(0, 0, 0, {0: 69, 1: 0, 2: 0, 3: 0})
    assert lag(connection, topic) == [0, 0, 0, 0]


@pytest.mark.fault("transaction left open")
def test_an_open_transaction_is_waited_for_by_the_next_pull_and_not_by_this_one(
    topic: Topic, transactions: Producer, connection: DuckDBPyConnection
) -> None:
    topic.send(readings(10), partition=0)
    begin(transactions, topic, readings(5, first=10))
    topic.send(readings(3, first=15), partition=0)
    assert pull(connection, topic.reader(), POLICY).next_offsets[0] == 10
    assert lag(connection, topic) == [8, 0, 0, 0]
    transactions.commit_transaction(LIMIT_SECONDS)
    await_end(topic, 0, 19)
    assert pull(connection, topic.reader(), POLICY).accepted == 8
    assert lag(connection, topic) == [0, 0, 0, 0]
    assert kept(connection) == [(0, offset) for offset in range(18)]


def test_batches_of_every_codec_are_read(kafka: ApacheKafka, topic: Topic, connection: DuckDBPyConnection) -> None:
    compressed = Topic(f"{topic.name}-compressed", topic.servers)
    compressed.create(len(CODECS))
    await_partitions(compressed, len(CODECS))
    for partition, codec in enumerate(CODECS):
        producer = Producer({"bootstrap.servers": topic.servers, "compression.type": codec, "linger.ms": 100})
        for key, value in readings(200, first=200 * partition):
            producer.produce(compressed.name, value, key, partition)
        assert producer.flush(LIMIT_SECONDS) == 0
        segment = kafka.data / f"{compressed.name}-{partition}" / f"{0:020}.log"
        # A batch that would not become smaller, such as one of a single message, is left as it is.
        assert codecs_in(segment.read_bytes()) - {0} == {partition} - {0}
    assert pull(connection, compressed.reader(), POLICY).accepted == 1000
    assert kept(connection) == [(partition, offset) for partition in range(len(CODECS)) for offset in range(200)]
    assert rows(connection, "SELECT pm25_cf1 FROM readings ORDER BY ALL") == [(float(n),) for n in range(1000)]


def test_tombstones_and_messages_without_key_are_rejected_as_they_came(
    topic: Topic, connection: DuckDBPyConnection
) -> None:
    ((key, value),) = readings(1)
    topic.send([(key, None), (None, value), (None, None), (b"", b""), (key, value)], partition=2)
    assert pull(connection, topic.reader(), POLICY) == PullReport(1, 0, 4, {0: 0, 1: 0, 2: 5, 3: 0})
    assert rows(connection, "SELECT reason, key, value FROM rejected_messages ORDER BY kafka_offset") == [
        ("value is missing", key, None),
        ("key is missing", None, value),
        ("key is missing", None, None),
        ("key is empty", b"", b""),
    ]
    assert kept(connection) == [(2, offset) for offset in range(5)]


def test_messages_of_almost_a_megabyte_are_taken_in_or_rejected_whole(
    topic: Topic, connection: DuckDBPyConnection
) -> None:
    key, long = message("46, -122", FIRST_WINDOW, 7, note="x" * 900_000)
    garbage = random.Random(7).randbytes(900_000)  # noqa: S311 (noise, no secret)
    topic.send([(key, long), (key, garbage), *readings(8)] * 2, partition=0)
    report = pull(connection, topic.reader(chunk_bytes=1 << 20), POLICY)
    assert (report.accepted, report.rejected) == (18, 2)
    assert rows(connection, "SELECT pm25_cf1 FROM readings WHERE sensor = '46, -122'") == [(7.0,)] * 2
    assert rows(connection, "SELECT reason, value FROM rejected_messages") == [("value is not UTF-8", garbage)] * 2
    assert kept(connection) == [(0, offset) for offset in range(20)]
