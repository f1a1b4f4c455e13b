"""One pull: everything that the topic holds beyond the stored offsets, into the store, exactly once.

The rows of a chunk and the offsets behind it are one transaction, and the offsets are compared inside it. A pull
that dies leaves whole chunks; the next one goes on behind them.
"""

import logging
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aqi_dagster.defaults import FUTURE_ALLOWANCE_MINUTES
from aqi_dagster.message_fields import OWN_NAMES, FieldNames
from aqi_dagster.pipeline.decoding.decode import Decoded, decode
from aqi_dagster.pipeline.garbage_collection import collection_paused
from aqi_dagster.pipeline.read_ahead import read_ahead
from aqi_dagster.pipeline.readings.chunks import Chunk, gather
from aqi_dagster.pipeline.readings.clock import require_clock, require_timely
from aqi_dagster.pipeline.readings.insert import Ingested, ingest
from aqi_dagster.pipeline.readings.offsets import (
    advance_offsets,
    next_offsets,
    require_same_generation,
    skip_expired,
    topic_generation,
)
from aqi_dagster.pipeline.readings.retake import Retaken, retake_due
from aqi_dagster.pipeline.store.sql import Writer, transaction
from aqi_dagster.pipeline.topic.batches import Batch
from aqi_dagster.pipeline.topic.reader import Topic, TopicReader
from aqi_dagster.progress import Progress, unwatched
from aqi_dagster.windows import utc_now

_BATCHES_AHEAD, _DECODED_AHEAD = 1, 6
"""Batches that wait to be decoded, and decoded ones that wait for the chunk before them to be written."""

MESSAGES_READ = "messages read"
"""The stage of a pull that is reported, in offsets: of what a topic compacted away there are none, but they count."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PullPolicy:
    """What a pull accepts.

    ``future_allowance``: how far ``created_at`` may lie ahead of our clock. ``field_names``: what the topic calls the
    fields. ``reread_recreated_topic``: read a topic
    that was deleted and made again from its beginning, which is an error otherwise. ``skip_expired_offsets``: pass over
    offsets that retention removed unread and record them in ``offset_gaps``, which is an error otherwise.
    """

    future_allowance: timedelta = timedelta(minutes=FUTURE_ALLOWANCE_MINUTES)
    field_names: FieldNames = OWN_NAMES
    reread_recreated_topic: bool = False
    skip_expired_offsets: bool = False


@dataclass
class PullReport:
    """Messages that a pull took in, those that it took again, and the next offset of each partition.

    ``emptied`` counts the accepted ones that had something unreadable in a field that is not needed, by field.
    """

    accepted: int = 0
    repeated: int = 0
    rejected: int = 0
    next_offsets: dict[int, int] = field(default_factory=dict)
    emptied: Counter[str] = field(default_factory=Counter)
    retaken: Retaken = field(default_factory=Retaken)

    def add(self, ingested: Ingested, chunk: Chunk) -> None:
        """Count what became of a chunk."""
        self.accepted += ingested.accepted
        self.repeated += ingested.repeated
        self.rejected += ingested.rejected
        self.emptied += chunk.emptied


def pull(writer: Writer, reader: TopicReader, policy: PullPolicy, progress: Progress = unwatched) -> PullReport:
    """Bring the store up to the present end of the topic, chunk by chunk; ``progress`` is in messages read.

    Messages that only lay in the future before are taken again first. Raises the Kafka errors of
    :mod:`aqi_dagster.errors`, and :class:`ClockError` if our clock cannot be right; chunks committed before the error
    stay.
    """
    # One moment for the whole pull: of two readings of the same time, the first one that was sent is to count.
    now = utc_now()
    require_clock(writer, now, policy.future_allowance)
    topic = reader.describe()
    generation = topic_generation(writer, topic, policy.reread_recreated_topic)
    offsets = next_offsets(writer, generation)
    report = PullReport(retaken=retake_due(writer, now, policy.future_allowance, policy.field_names))
    with collection_paused(), reader.consumer() as consumer:
        if policy.skip_expired_offsets:
            offsets |= skip_expired(writer, reader.first_offsets(consumer, offsets), generation, offsets)
        starts = {partition: offsets.get(partition) for partition in topic.partitions}
        # One thread reads, another decodes, and this one writes.
        batches = read_ahead(reader.batches(consumer, starts), ahead=_BATCHES_AHEAD)
        with closing(read_ahead(_decoded(batches, now, policy), ahead=_DECODED_AHEAD)) as decoded:
            counted = _counted(decoded, starts, progress)
            for chunk in gather(counted, reader.chunk_messages, reader.chunk_bytes):
                require_same_generation(topic, reader.describe())
                report.add(_ingest_chunk(writer, topic, generation, offsets, chunk, policy), chunk)
                offsets |= chunk.next_offsets
        reader.commit(offsets)
    # What a long pull took for the future when it began may be past by now.
    report.retaken += retake_due(writer, utc_now(), policy.future_allowance, policy.field_names)
    report.next_offsets = offsets
    return report


def _ingest_chunk(
    writer: Writer, topic: Topic, generation: int, offsets: Mapping[int, int], chunk: Chunk, policy: PullPolicy
) -> Ingested:
    """Take in a chunk and move the ``offsets`` behind it, in one transaction."""
    now, decoded = utc_now(), chunk.decoded
    require_timely(writer, decoded, now, policy.future_allowance)
    with transaction(writer):
        advance_offsets(writer, topic, generation, offsets, chunk, now)
        ingested = ingest(writer, decoded, generation, now)
    _log.debug("took in %d readings and %d rejected messages", ingested.accepted, ingested.rejected)
    return ingested


def _counted(
    decoded: Iterable[tuple[Batch, Decoded]], starts: Mapping[int, int | None], progress: Progress
) -> Iterator[tuple[Batch, Decoded]]:
    """Yield what was ``decoded``, and report how much of what lies between ``starts`` and the ends was read by then."""
    begins = {partition: offset for partition, offset in starts.items() if offset is not None}
    positions = dict(begins)
    progress(MESSAGES_READ, 0)
    for batch, of_batch in decoded:
        begins = {partition: first for partition, (first, _) in batch.unread.items()} | batch.first_offsets() | begins
        positions |= batch.next_offsets
        read = {partition: positions.get(partition, begin) - begin for partition, begin in begins.items()}
        ends = {partition: end for partition, (_, end) in batch.unread.items()} | dict(batch.ends)
        # Messages that came meanwhile may be read, too.
        there = sum(max(read[partition], ends.get(partition, 0) - begin) for partition, begin in begins.items())
        progress(MESSAGES_READ, sum(read.values()), there if ends.keys() >= starts.keys() else None)
        yield batch, of_batch


def _decoded(batches: Generator[Batch], now: datetime, policy: PullPolicy) -> Generator[tuple[Batch, Decoded]]:
    with closing(batches):
        for batch in batches:
            yield batch, decode(batch.messages, now, policy.future_allowance, policy.field_names)
