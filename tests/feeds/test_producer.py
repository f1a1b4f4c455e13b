"""Sending messages to a real broker, at once or as time goes by."""

import itertools
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka import Message as Received

from aqi_dagster import errors
from aqi_dagster.demo import simulator
from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.demo.summer import Summer
from aqi_dagster.feeds import producer
from aqi_dagster.feeds.messages import Message
from aqi_dagster.feeds.producer import TopicWriter, create_topic, produce
from tests.support.waiting import LIMIT_SECONDS

NOWHERE = {"bootstrap.servers": "127.0.0.1:1"}


@pytest.fixture(scope="module")
def config() -> Iterator[dict[str, str]]:
    with EmbeddedBroker() as broker:
        yield {"bootstrap.servers": broker.bootstrap_servers}


def read_topic(config: dict[str, str], topic: str) -> list[Received]:
    """All messages of a topic, read to each partition's end."""
    consumer = Consumer(config | {"group.id": "test", "enable.partition.eof": True, "enable.auto.commit": False})
    partitions = consumer.list_topics(topic, timeout=LIMIT_SECONDS).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    received, open_partitions, deadline = [], set(partitions), time.monotonic() + LIMIT_SECONDS
    while open_partitions:
        assert time.monotonic() < deadline, f"{topic} gave no end of {open_partitions}"
        for message in consumer.consume(1000, timeout=0.1):
            error = message.error()
            if error is None:
                received.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                open_partitions.discard(message.partition())
    consumer.close()
    return received


def test_topic_is_created_once(config: dict[str, str]) -> None:
    assert create_topic(config, "created", 3) is True
    assert create_topic(config, "created", 3) is False


def test_what_is_produced_can_be_read_back(config: dict[str, str]) -> None:
    messages = [Message(b'"%d, 2"' % (number % 25), b'{"entry_id":"%d"}' % number) for number in range(5000)]
    create_topic(config, "round_trip", 4)
    progress: list[int] = []

    def note(stage: str, done: int, total: int | None = None, /) -> None:
        assert (stage, total) == ("messages sent", 5000)
        progress.append(done)

    assert produce(config, "round_trip", messages, note, total=5000) == 5000
    received = read_topic(config, "round_trip")
    assert sorted((m.key(), m.value()) for m in received) == sorted(messages)
    assert len({(m.key(), m.partition()) for m in received}) == 25
    for key in {message.key for message in messages}:
        assert [m.value() for m in received if m.key() == key] == [m.value for m in messages if m.key == key]
    assert progress == sorted(set(progress))
    assert progress[-1] == 5000


def test_keys_go_where_java_clients_send_them(config: dict[str, str]) -> None:
    # Hashes from the unit test of org.apache.kafka.common.utils.Utils.murmur2.
    hashes = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
    create_topic(config, "java", 4)
    produce(config, "java", [Message(key, b"{}") for key in hashes])
    partitions = {m.key(): m.partition() for m in read_topic(config, "java")}
    assert partitions == {key: (value & 0x7FFFFFFF) % 4 for key, value in hashes.items()}


def test_full_queue_is_waited_for(config: dict[str, str]) -> None:
    create_topic(config, "narrow", 1)
    narrow = config | {"queue.buffering.max.messages": "10", "linger.ms": "0"}
    assert produce(narrow, "narrow", (Message(b'"1, 2"', b"{}") for _ in range(200))) == 200
    assert len(read_topic(config, "narrow")) == 200


def test_topic_that_does_not_exist_is_named(config: dict[str, str]) -> None:
    with pytest.raises(errors.TopicMissingError, match="no topic never_made"):
        produce(config, "never_made", [])


def test_message_that_kafka_refuses_is_an_error(config: dict[str, str]) -> None:
    create_topic(config, "refusing", 1)
    with pytest.raises(errors.KafkaError, match=r"refusing takes no message.*MSG_SIZE_TOO_LARGE"):
        produce(config, "refusing", [Message(b'"1, 2"', b"x" * 2_000_000)])


@pytest.mark.long
def test_broker_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer, "TIMEOUT_SECONDS", 1.0)
    with pytest.raises(errors.KafkaUnavailableError, match=r"topic away could not be created: 127\.0\.0\.1:1"):
        create_topic(NOWHERE, "away", 1)
    with pytest.raises(errors.KafkaUnavailableError, match=r"no broker answered: 127\.0\.0\.1:1"):
        TopicWriter(NOWHERE, "away", timeout_seconds=1.0)


def test_broker_that_goes_away_is_named_within_the_time_limit() -> None:
    with EmbeddedBroker() as broker:
        config = {"bootstrap.servers": broker.bootstrap_servers}
        create_topic(config, "leaving", 1)
        writer = TopicWriter(config, "leaving", timeout_seconds=5.0)
        writer.send([Message(b'"1, 2"', b"{}")] * 3)
        assert writer.flush() == 3
    started = time.monotonic()
    writer.send([Message(b'"1, 2"', b"{}")])
    with pytest.raises(errors.KafkaUnavailableError, match="leaving took 3 messages, then a delivery failed"):
        writer.flush()
    assert time.monotonic() - started < LIMIT_SECONDS / 2


def test_simulation_sends_the_past_at_once_and_then_goes_with_time(
    config: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = datetime(2022, 7, 18)  # noqa: DTZ001 (naive UTC by the package's convention)
    summer, begin, present = Summer(start), start + timedelta(hours=1), start + timedelta(hours=10)
    minutes = itertools.count()
    monkeypatch.setattr(simulator, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(simulator, "utc_now", lambda: present + timedelta(minutes=next(minutes)))
    past, live, stop = 9 * 6 * 25, threading.Event(), threading.Event()
    counts: list[int] = []

    def on_delivered(count: int) -> None:
        counts.append(count)
        if count > past + 100:
            live.set()

    create_topic(config, "summer", 4)
    sent: list[int] = []
    sender = threading.Thread(
        target=lambda: sent.append(simulator.simulate(summer, config, "summer", begin, stop, on_delivered))
    )
    sender.start()
    assert live.wait(LIMIT_SECONDS)
    stop.set()
    sender.join(LIMIT_SECONDS)
    assert not sender.is_alive()
    assert sent == [counts[-1]]
    expected = list(summer.messages(begin, present + timedelta(minutes=next(minutes))))[: sent[0]]
    assert sorted((m.key(), m.value()) for m in read_topic(config, "summer")) == sorted(expected)
