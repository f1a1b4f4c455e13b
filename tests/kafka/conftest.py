"""What the tests against Apache Kafka share: the broker, topics on it, readings, and faults in the middle of a pull."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.support.kafka_cluster import ApacheKafka
from tests.support.kafka_jars import KafkaMissingError
from tests.support.kafka_topics import LOGIN, await_partitions
from tests.support.lacking import lacking
from tests.support.topics import Topic


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    """One Apache Kafka for all tests; they are skipped where it cannot be had."""
    kafka = ApacheKafka(tmp_path_factory.mktemp("kafka"), LOGIN)
    try:
        kafka.start()
    except KafkaMissingError as missing:
        pytest.skip(lacking(f"Apache Kafka: {missing}"))
    yield kafka
    # Nobody reads its log any more: there is nothing to leave in order.
    kafka.kill()


@pytest.fixture
def breakable(kafka: ApacheKafka) -> Iterator[ApacheKafka]:
    """The same Apache Kafka for a test that ends it: it runs again afterwards."""
    yield kafka
    if not kafka.running:
        kafka.start()


@pytest.fixture
def topic(kafka: ApacheKafka) -> Topic:
    """A new topic with four partitions on Apache Kafka."""
    topic = Topic(f"readings-{uuid4()}", kafka.servers)
    topic.create()
    await_partitions(topic, 4)
    return topic
