"""A topic of a test's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Message as Delivered
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # not in its __all__

from aqi_dagster.pipeline.topic.reader import TopicReader
from tests.support.messages import RawMessage
from tests.support.waiting import LIMIT_SECONDS


@dataclass(frozen=True)
class Topic:
    """A topic of the test's own on the embedded broker."""

    name: str
    servers: str

    def create(self, partitions: int = 4) -> None:
        """Make the topic."""
        admin = AdminClient({"bootstrap.servers": self.servers})
        admin.create_topics([NewTopic(self.name, partitions)])[self.name].result(LIMIT_SECONDS)

    def delete(self) -> None:
        """Delete the topic."""
        admin = AdminClient({"bootstrap.servers": self.servers})
        admin.delete_topics([self.name])[self.name].result(LIMIT_SECONDS)

    def send(self, messages: Sequence[RawMessage], partition: int | None = None) -> list[tuple[int, int]]:
        """Produce ``messages`` to ``partition``, or in turn to all four; returns where they landed, in order."""
        places: dict[int, tuple[int, int]] = {}
        producer = Producer({"bootstrap.servers": self.servers})
        for number, (key, value) in enumerate(messages):

            def delivered(error: object, sent: Delivered, number: int = number) -> None:
                assert error is None, error
                places[number] = (sent.partition(), sent.offset())  # type: ignore[assignment]

            place = number % 4 if partition is None else partition
            producer.produce(self.name, value, key, place, on_delivery=delivered)
        assert producer.flush(LIMIT_SECONDS) == 0
        return [places[number] for number in range(len(messages))]

    def reader(self, kind: type[TopicReader] = TopicReader, **settings: Any) -> TopicReader:
        """A reader of this topic; ``settings`` are further arguments of :class:`TopicReader`."""
        # A short wait for more messages, because the end of an idle partition is told only after it.
        librdkafka = {"bootstrap.servers": self.servers, "fetch.wait.max.ms": 50}
        return kind(librdkafka, self.name, **{"timeout": LIMIT_SECONDS, **settings})
