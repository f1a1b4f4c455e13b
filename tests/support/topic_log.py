"""A topic in memory, for what is tested without a broker: it is read as the one of a broker is."""

from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import pyarrow as pa
from confluent_kafka import Consumer

from aqi_dagster.pipeline.topic.batches import MESSAGES_SCHEMA, Batch
from aqi_dagster.pipeline.topic.reader import Topic, TopicReader
from tests.support.messages import RawMessage


@dataclass(frozen=True)
class TopicLog(TopicReader):
    """Messages by Kafka partition, which are never lost."""

    librdkafka: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    topic: str = "log"
    sent: defaultdict[int, list[RawMessage]] = field(default_factory=lambda: defaultdict(list))

    def send(self, messages: Sequence[RawMessage], partitions: Sequence[int] | None = None) -> None:
        """Append ``messages``, each to its partition, 0 if none are given."""
        for message, partition in zip(messages, partitions or [0] * len(messages), strict=True):
            self.sent[partition].append(message)

    def describe(self) -> Topic:
        return Topic(self.topic, "the only one", tuple(sorted(self.sent)))

    @contextmanager
    def consumer(self) -> Iterator[Consumer]:
        yield cast("Consumer", None)

    def batches(self, consumer: Consumer, starts: Mapping[int, int | None]) -> Generator[Batch]:
        places = [
            {"kafka_partition": partition, "kafka_offset": offset, "key": key, "value": value}
            for partition, start in starts.items()
            for offset, (key, value) in list(enumerate(self.sent[partition]))[start or 0 :]
        ]
        if places:
            ends = {partition: len(messages) for partition, messages in self.sent.items()}
            yield Batch(pa.Table.from_pylist(places, MESSAGES_SCHEMA), ends)

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Nobody watches the lag."""
