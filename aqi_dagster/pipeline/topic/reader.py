"""Reading a Kafka topic from given offsets to its present end, in batches of bounded memory.

Partitions are assigned, never subscribed: what has been read is known to the DuckDB store alone. The end of a partition
is where a fetch says it is (``_PARTITION_EOF``), because not every broker answers ListOffsets rightly.
"""

import logging
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka import KafkaError as KafkaErrorCode
from confluent_kafka.admin import AdminClient

from aqi_dagster.errors import KafkaError
from aqi_dagster.pipeline.topic.admin import await_answer, refusal
from aqi_dagster.pipeline.topic.batches import Batch, BatchBuilder
from aqi_dagster.pipeline.topic.faults import TopicFaults

POLL_SECONDS = 0.05
"""How long one call waits for messages: the grain at which a silent partition is noticed."""

POLL_MESSAGES = 3_840
"""Messages that one call fetches at most: as many as fit the processor's cache until they are columns."""

BATCH_MESSAGES, BATCH_BYTES = 30_720, 16 << 20
"""Where a batch ends: enough messages that the threads that read and decode seldom wait for each other."""

CHUNK_MESSAGES = 8 * BATCH_MESSAGES
"""Two row groups of DuckDB: whole ones are written at once, neither to its log first nor anew by a checkpoint."""

_FETCH_DEFAULTS = {
    # Not by number, but by size: some ten thousand messages ahead are enough for full speed, and each takes the client
    # several times its size.
    "queued.min.messages": 1_000_000,
    "queued.max.messages.kbytes": 2_048,
    # What one answer may hold, compressed: the client unpacks all of it before it gives the first message.
    "fetch.max.bytes": 1_000_000,
    # By default the client rests for a second whenever that queue is full.
    "fetch.queue.backoff.ms": 1,
    # How long a broker holds back the answer that a partition has nothing more.
    "fetch.wait.max.ms": 50,
    # Half of it is how long the client waits before its second connection.
    "reconnect.backoff.ms": 20,
}

_FETCH_FIXED = {
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
}

COMMIT_TIMEOUT_SECONDS = 5.0
"""Limit for telling the consumer group how far we are, so that lag monitors never hold a pull for long."""

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
    the time in seconds after which a broker or partition that does not answer is an error. One transaction takes in
    ``chunk_messages`` messages or ``chunk_bytes`` bytes of keys and values, whichever comes first.
    """

    librdkafka: Mapping[str, str | int | float | bool]
    topic: str
    timeout: float = 30.0
    chunk_messages: int = CHUNK_MESSAGES
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
        :class:`~aqi_dagster.errors.ConfigurationError` if the client does not take its settings.
        """
        troubles: list[KafkaErrorCode] = []
        # log_level 0: the last trouble is told in the error, and may have come back a hundred times.
        settings: dict[str, Any] = {**self.librdkafka, "log_level": 0, "error_cb": troubles.append}
        try:
            admin = AdminClient(settings)
        except KafkaException as exception:
            raise self._faults.refused(exception.args[0]) from None
        future = admin.describe_topics(TopicCollection([self.topic]), request_timeout=self.timeout)[self.topic]
        refused = await_answer(admin, future, troubles)
        if refused is not None:
            raise self._faults.login_refused(refused)
        try:
            description = future.result()
        except KafkaException as exception:
            error = exception.args[0]
            if error.code() in (KafkaErrorCode.UNKNOWN_TOPIC_OR_PART, KafkaErrorCode._UNKNOWN_TOPIC):
                raise self._faults.missing() from None
            if (refused := refusal(troubles)) is not None:
                raise self._faults.login_refused(refused) from None
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
            # The client insists that an answer may hold what a message may, and has a default that does.
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
        reader for ever. What was fetched beyond it is given too.

        Raises :class:`PartitionStalledError`, :class:`OffsetsExpiredError`, :class:`OffsetBeyondEndError` or
        :class:`KafkaUnavailableError`, after all that was read was given; it remains valid.
        """
        builder = BatchBuilder()
        try:
            yield from self._full_batches(consumer, starts, builder)
        except KafkaError:
            # Not left to the next pull: retention may remove it before.
            if builder.next_offsets:
                yield builder.take()
            raise
        if builder.next_offsets:
            yield builder.take()

    def _full_batches(
        self, consumer: Consumer, starts: Mapping[int, int | None], builder: BatchBuilder
    ) -> Iterator[Batch]:
        """The batches that became full; what is left over stays in ``builder``."""
        most, most_bytes = min(BATCH_MESSAGES, self.chunk_messages), min(BATCH_BYTES, self.chunk_bytes)
        positions = {p: OFFSET_BEGINNING if offset is None else offset for p, offset in starts.items()}
        reading = set(positions)
        ends: dict[int, int] = {}
        self._learn_leaders(consumer)
        consumer.assign([TopicPartition(self.topic, p, offset) for p, offset in positions.items()])
        progress = time.monotonic()
        while reading:
            batch = consumer.consume(min(POLL_MESSAGES, most - builder.size), POLL_SECONDS)
            if batch:
                progress = time.monotonic()
            elif time.monotonic() - progress > self.timeout:
                raise self._faults.stalled(reading, positions)
            failed = [message for message in batch if message.error() is not None]
            if failed:
                batch = [message for message in batch if message.error() is None]
            advanced = builder.add(batch)
            positions.update(advanced)
            for partition in advanced.keys() - ends.keys():
                _, end = consumer.get_watermark_offsets(TopicPartition(self.topic, partition), cached=True)
                if end >= 0:
                    ends[partition] = end
            finished = {partition for partition in ends if positions[partition] >= ends[partition]}
            for message in failed:
                partition = self._end_of_partition(consumer, message, positions)
                finished.add(partition)
                # Messages that were written after the end was told may have come with it.
                positions[partition] = max(positions[partition], cast("int", message.offset()))
                builder.next_offsets[partition] = positions[partition]
            for partition in finished & reading:
                reading.discard(partition)
                consumer.incremental_unassign([TopicPartition(self.topic, partition)])
            if builder.size >= most or builder.bytes >= most_bytes:
                yield builder.take()

    def _learn_leaders(self, consumer: Consumer) -> None:
        """Ask who leads the partitions before they are assigned: with unknown leaders they idle half a second."""
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
        """Tell the consumer group how far we are, for lag monitors only: a failure is logged and harms nothing.

        With a consumer and a thread of its own, which are left behind after ``COMMIT_TIMEOUT_SECONDS``: if the broker
        goes away meanwhile, the commit, or the close of a consumer that commits, may wait for ever (librdkafka
        #3740).
        """
        positions = [TopicPartition(self.topic, partition, offset) for partition, offset in offsets.items()]

        def tell() -> None:
            with self.consumer() as consumer:
                try:
                    consumer.commit(offsets=positions, asynchronous=False)
                except KafkaException as exception:
                    _log.warning("offsets were not committed to the consumer group: %s", exception.args[0].str())

        thread = threading.Thread(target=tell, name="commit-offsets", daemon=True)
        thread.start()
        thread.join(COMMIT_TIMEOUT_SECONDS)
        if thread.is_alive():
            _log.warning("offsets were not committed to the consumer group within %g s", COMMIT_TIMEOUT_SECONDS)

    def _end_of_partition(self, consumer: Consumer, message: Message, positions: Mapping[int, int]) -> int:
        """The partition whose end ``message`` tells; any other error that it carries is raised."""
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
