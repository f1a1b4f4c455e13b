"""Reading a Kafka topic from given offsets to its present end, in batches of bounded memory.

Partitions are assigned, never subscribed: the DuckDB store alone keeps the offsets. A partition ends where a fetch says
so (``_PARTITION_EOF``), because not every broker answers ListOffsets correctly.
"""

import logging
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka import KafkaError as KafkaErrorCode
from confluent_kafka.admin import AdminClient

from aqi_dagster import defaults
from aqi_dagster.errors import KafkaError
from aqi_dagster.pipeline.topic.admin import await_answer, refusal
from aqi_dagster.pipeline.topic.batches import Batch, BatchBuilder
from aqi_dagster.pipeline.topic.faults import TopicFaults

POLL_SECONDS = 0.05
"""How long one poll waits for messages, and so how precisely the silence of a partition is measured."""

POLL_MESSAGES = 3_840
"""Most messages of one poll: as many as stay in the processor's cache until they are columns."""

BATCH_MESSAGES, BATCH_BYTES = 30_720, 16 << 20
"""Size at which a batch is full: large enough that the reading and the decoding thread seldom wait for each other."""

_FETCH_DEFAULTS = {
    # The queue is limited by size, not by number: ten thousand messages ahead are enough for full speed, and each one
    # costs the client several times its size in memory.
    "queued.min.messages": 1_000_000,
    "queued.max.messages.kbytes": 2_048,
    # Compressed size of one answer: the client unpacks all of it before it returns the first message.
    "fetch.max.bytes": 1_000_000,
    # By default the client rests for a second whenever that queue is full.
    "fetch.queue.backoff.ms": 1,
    # How long a broker waits before it answers that a partition has no more messages.
    "fetch.wait.max.ms": 50,
    # The client waits half of this time before it opens its second connection.
    "reconnect.backoff.ms": 20,
}

_FETCH_FIXED = {
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
}

COMMIT_TIMEOUT_SECONDS = 5.0
"""Limit for committing offsets to the consumer group: a pull never waits longer for the sake of lag monitors."""

_NO_TOPIC_ID = "AAAAAAAAAAAAAAAAAAAAAA"
"""The zero UUID, which brokers without topic ids answer."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Topic:
    """A topic as the broker describes it; ``topic_id`` is None where the broker has no topic ids."""

    name: str
    topic_id: str | None
    partitions: tuple[int, ...]


@dataclass(frozen=True)
class TopicReader:
    """How to reach one topic.

    ``librdkafka`` holds client settings by their librdkafka names, ``bootstrap.servers`` among them. ``timeout`` is
    the time in seconds after which a broker or partition that does not answer is an error. A chunk, which one
    transaction takes, has ``chunk_messages`` messages, or ``chunk_bytes`` bytes of keys and values if it reaches
    them first.
    """

    librdkafka: Mapping[str, str | int | float | bool]
    topic: str
    timeout: float = defaults.KAFKA_TIMEOUT_SECONDS
    chunk_messages: int = defaults.KAFKA_CHUNK_MESSAGES
    chunk_bytes: int = 96 << 20

    @property
    def servers(self) -> str:
        """The bootstrap servers, as error messages name them."""
        return str(self.librdkafka.get("bootstrap.servers", ""))

    @property
    def _faults(self) -> TopicFaults:
        return TopicFaults(self.servers, self.topic, self.timeout)

    def describe(self) -> Topic:
        """What the broker says of the topic.

        Raises :class:`~aqi_dagster.errors.KafkaUnavailableError`, :class:`~aqi_dagster.errors.TopicMissingError`, or
        :class:`~aqi_dagster.errors.ConfigurationError` if the client rejects its settings.
        """
        troubles: list[KafkaErrorCode] = []
        # log_level 0: the error quotes the last trouble, which the client may have met a hundred times.
        settings: dict[str, Any] = {**self.librdkafka, "log_level": 0, "error_cb": troubles.append}
        try:
            admin = AdminClient(settings)
        except KafkaException as exception:
            raise self._faults.refused(exception.args[0]) from None
        future = admin.describe_topics(TopicCollection([self.topic]), request_timeout=self.timeout)[self.topic]
        if (login_error := await_answer(admin, future, troubles)) is not None:
            raise self._faults.login_refused(login_error)
        try:
            description = future.result()
        except KafkaException as exception:
            error = exception.args[0]
            if error.code() in (KafkaErrorCode.UNKNOWN_TOPIC_OR_PART, KafkaErrorCode._UNKNOWN_TOPIC):
                raise self._faults.missing() from None
            if (login_error := refusal(troubles)) is not None:
                raise self._faults.login_refused(login_error) from None
            causes = [trouble for trouble in troubles if trouble.code() != KafkaErrorCode._ALL_BROKERS_DOWN]
            vague = error.code() in (KafkaErrorCode._TIMED_OUT, KafkaErrorCode._TRANSPORT)
            raise self._faults.unavailable("describe", causes[-1] if vague and causes else error) from None
        topic_id = str(description.topic_id) if description.topic_id is not None else _NO_TOPIC_ID
        partitions = tuple(sorted(partition.id for partition in description.partitions))
        return Topic(self.topic, None if topic_id == _NO_TOPIC_ID else topic_id, partitions)

    @contextmanager
    def consumer(self) -> Iterator[Consumer]:
        """A consumer with this topic's settings, closed at the end; it joins no group."""
        group = {"group.id": "aqi_dagster"}
        settings = _FETCH_DEFAULTS | group | dict(self.librdkafka) | _FETCH_FIXED
        if "message.max.bytes" in self.librdkafka and "fetch.max.bytes" not in self.librdkafka:
            # The client demands that an answer may be as large as a message; its own default for answers is.
            del settings["fetch.max.bytes"]
        try:
            consumer = Consumer(settings, logger=_log)
        except KafkaException as exception:
            raise self._faults.refused(exception.args[0]) from None
        try:
            yield consumer
        finally:
            consumer.close()

    def batches(self, consumer: Consumer, starts: Mapping[int, int | None]) -> Generator[Batch]:
        """Everything from ``starts`` (partition to offset; None is the beginning) to the end of each partition.

        The end is where the partition's log ended at its first fetch, so a topic that keeps growing does not hold the
        reader for ever. Messages that were fetched beyond it are part of the batches too.

        Raises :class:`PartitionStalledError`, :class:`OffsetsExpiredError`, :class:`OffsetBeyondEndError` or
        :class:`KafkaUnavailableError`, after it has yielded all that was read, which remains valid.
        """
        builder = BatchBuilder()
        try:
            yield from self._full_batches(consumer, starts, builder)
        except KafkaError:
            # The next pull may come too late for these messages: retention removes them.
            if builder.next_offsets:
                yield builder.take()
            raise
        if builder.next_offsets:
            yield builder.take()

    def _full_batches(
        self, consumer: Consumer, starts: Mapping[int, int | None], builder: BatchBuilder
    ) -> Iterator[Batch]:
        """Yield each batch once it is full; the last messages, too few for a batch, stay in ``builder``."""
        most, most_bytes = min(BATCH_MESSAGES, self.chunk_messages), min(BATCH_BYTES, self.chunk_bytes)
        positions = {p: OFFSET_BEGINNING if offset is None else offset for p, offset in starts.items()}
        unfinished = set(positions)
        ends = builder.ends
        self._learn_leaders(consumer)
        consumer.assign([TopicPartition(self.topic, p, offset) for p, offset in positions.items()])
        progress = time.monotonic()
        while unfinished:
            messages = consumer.consume(min(POLL_MESSAGES, most - builder.size), POLL_SECONDS)
            if messages:
                progress = time.monotonic()
            elif time.monotonic() - progress > self.timeout:
                raise self._faults.stalled(unfinished, positions)
            errors = [message for message in messages if message.error() is not None]
            if errors:
                messages = [message for message in messages if message.error() is None]
            next_offsets = builder.add(messages)
            positions.update(next_offsets)
            for partition in next_offsets.keys() - ends.keys():
                _, end = consumer.get_watermark_offsets(TopicPartition(self.topic, partition), cached=True)
                if end >= 0:
                    ends[partition] = end
            at_end = {partition for partition in ends if positions[partition] >= ends[partition]}
            for message in errors:
                partition = self._end_of_partition(consumer, message, positions)
                at_end.add(partition)
                # The same poll may hold messages that were written after the broker reported this end.
                positions[partition] = max(positions[partition], cast("int", message.offset()))
                ends.setdefault(partition, positions[partition])
                builder.next_offsets[partition] = positions[partition]
            for partition in at_end & unfinished:
                unfinished.discard(partition)
                consumer.incremental_unassign([TopicPartition(self.topic, partition)])
            if builder.is_full(most, most_bytes):
                self._ask_of_unread(consumer, unfinished, builder)
                yield builder.take()

    def _ask_of_unread(self, consumer: Consumer, unfinished: Set[int], builder: BatchBuilder) -> None:
        """Ask, once reading takes long, how much partitions hold of which nothing came yet: for progress alone."""
        if builder.takes_long:
            for partition in unfinished - builder.ends.keys() - builder.unread.keys():
                with suppress(KafkaException):
                    place = TopicPartition(self.topic, partition)
                    builder.unread[partition] = consumer.get_watermark_offsets(place, timeout=POLL_SECONDS)

    def _learn_leaders(self, consumer: Consumer) -> None:
        """Learn the leaders of the partitions before they are assigned: without, the client idles for half a second."""
        try:
            consumer.list_topics(self.topic, timeout=self.timeout)
        except KafkaException as exception:
            raise self._faults.unavailable("tell the leaders of", exception.args[0]) from None

    def first_offsets(self, consumer: Consumer, partitions: Iterable[int]) -> dict[int, int]:
        """The oldest offset that the broker still holds, by partition."""
        oldest = {}
        for partition in partitions:
            oldest[partition], _ = self._watermarks(consumer, partition)
        return oldest

    def log_ends(self, consumer: Consumer, positions: Mapping[int, int]) -> dict[int, int]:
        """Where the log of each partition ends now: the high watermark of a fetch from its place in ``positions``.

        Partitions that do not answer in time are left out. Raises what :meth:`batches` would raise for these places.
        """
        ends: dict[int, int] = {}
        consumer.assign([TopicPartition(self.topic, p, offset) for p, offset in positions.items()])
        deadline = time.monotonic() + self.timeout
        while len(ends) < len(positions) and time.monotonic() < deadline:
            for message in consumer.consume(POLL_MESSAGES, POLL_SECONDS):
                partition = cast("int", message.partition())
                if message.error() is not None:
                    self._end_of_partition(consumer, message, positions)
                if partition not in ends:
                    place = TopicPartition(self.topic, partition)
                    ends[partition] = consumer.get_watermark_offsets(place, cached=True)[1]
                    consumer.incremental_unassign([place])
        return ends

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit ``offsets`` to the consumer group, for lag monitors only: a failure is logged and harms nothing.

        A consumer and a thread of their own do it, and are abandoned after ``COMMIT_TIMEOUT_SECONDS``: if the broker
        goes away meanwhile, the commit, or the close of a consumer that commits, may never return (librdkafka #3740).
        """
        positions = [TopicPartition(self.topic, partition, offset) for partition, offset in offsets.items()]

        def commit_offsets() -> None:
            with self.consumer() as consumer:
                try:
                    consumer.commit(offsets=positions, asynchronous=False)
                except KafkaException as exception:
                    _log.warning("offsets were not committed to the consumer group: %s", exception.args[0].str())

        thread = threading.Thread(target=commit_offsets, name="commit-offsets", daemon=True)
        thread.start()
        thread.join(COMMIT_TIMEOUT_SECONDS)
        if thread.is_alive():
            _log.warning("offsets were not committed to the consumer group within %g s", COMMIT_TIMEOUT_SECONDS)

    def _end_of_partition(self, consumer: Consumer, message: Message, positions: Mapping[int, int]) -> int:
        """Return the partition whose end ``message`` reports; raise any other error that it carries."""
        error = message.error()
        assert error is not None  # noqa: S101 (narrows the type: the caller picked messages with an error)
        partition = message.partition()
        if error.code() == KafkaErrorCode._PARTITION_EOF and partition is not None:
            return partition
        if error.code() == KafkaErrorCode._AUTO_OFFSET_RESET and partition is not None:
            low, high = self._watermarks(consumer, partition)
            raise self._faults.out_of_range(partition, positions[partition], low, high)
        if error.code() in (KafkaErrorCode.UNKNOWN_TOPIC_OR_PART, KafkaErrorCode._UNKNOWN_PARTITION):
            raise self._faults.went_away(partition, error)
        raise self._faults.failed(partition, positions.get(partition or 0), error)

    def _watermarks(self, consumer: Consumer, partition: int) -> tuple[int, int]:
        """The oldest offset that the broker still holds, and the end of the log."""
        try:
            return consumer.get_watermark_offsets(TopicPartition(self.topic, partition), timeout=self.timeout)
        except KafkaException as exception:
            raise self._faults.unavailable(f"tell the offsets of partition {partition} of", exception.args[0]) from None
