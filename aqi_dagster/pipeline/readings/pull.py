"""One pull: everything that the topic holds beyond the stored offsets, into the store, exactly once.

The rows of a chunk and the offsets behind it are one transaction, and the offsets are compared inside it. A pull
that dies leaves whole chunks; the next one goes on behind them.
"""

import logging
from collections import Counter
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta

from aqi_dagster.pipeline.decoding.decode import Decoded, decode
from aqi_dagster.pipeline.garbage_collection import collection_paused
from aqi_dagster.pipeline.read_ahead import read_ahead
from aqi_dagster.pipeline.readings.chunks import gather
from aqi_dagster.pipeline.readings.insert import ingest
from aqi_dagster.pipeline.readings.offsets import (
    advance_offsets,
    next_offsets,
    require_same_generation,
    skip_expired,
    topic_generation,
)
from aqi_dagster.pipeline.store.sql import Writer, transaction
from aqi_dagster.pipeline.topic.batches import Batch
from aqi_dagster.pipeline.topic.reader import TopicReader
from aqi_dagster.windows import utc_now

_BATCHES_AHEAD, _DECODED_AHEAD = 1, 6
"""Batches that wait to be decoded, and decoded ones that wait for the chunk before them to be written."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PullPolicy:
    """What a pull accepts.

    ``future_allowance``: how far ``created_at`` may lie ahead of our clock. ``reread_recreated_topic``: read a topic
    that was deleted and made again from its beginning, which is an error otherwise. ``skip_expired_offsets``: pass over
    offsets that retention removed unread and record them in ``offset_gaps``, which is an error otherwise.
    """

    future_allowance: timedelta = timedelta(minutes=10)
    reread_recreated_topic: bool = False
    skip_expired_offsets: bool = False


@dataclass
class PullReport:
    """Messages that a pull took in, and the next offset of each partition.

    ``emptied`` counts the accepted ones that had something unreadable in a field that is not needed, by field.
    """

    accepted: int = 0
    repeated: int = 0
    rejected: int = 0
    next_offsets: dict[int, int] = field(default_factory=dict)
    emptied: Counter[str] = field(default_factory=Counter)


def pull(writer: Writer, reader: TopicReader, policy: PullPolicy) -> PullReport:
    """Bring the store up to the present end of the topic, chunk by chunk.

    Raises the Kafka errors of :mod:`aqi_dagster.errors`; chunks committed before the error stay.
    """
    topic = reader.describe()
    generation = topic_generation(writer, topic, policy.reread_recreated_topic)
    offsets = next_offsets(writer, generation)
    report = PullReport()
    with collection_paused(), reader.consumer() as consumer:
        if policy.skip_expired_offsets:
            offsets |= skip_expired(writer, reader.first_offsets(consumer, offsets), generation, offsets)
        starts = {partition: offsets.get(partition) for partition in topic.partitions}
        # One thread reads, another decodes, and this one writes.
        batches = read_ahead(reader.batches(consumer, starts), ahead=_BATCHES_AHEAD)
        with closing(read_ahead(_decoded(batches, policy.future_allowance), ahead=_DECODED_AHEAD)) as decoded:
            for chunk in gather(decoded, reader.chunk_messages, reader.chunk_bytes):
                require_same_generation(topic, reader.describe())
                now = utc_now()
                with transaction(writer):
                    advance_offsets(writer, topic, generation, offsets, chunk, now)
                    ingested = ingest(writer, chunk.decoded, generation, now)
                offsets |= chunk.next_offsets
                report.accepted += ingested.accepted
                report.repeated += ingested.repeated
                report.rejected += ingested.rejected
                report.emptied += chunk.emptied
                _log.info("took in %d readings and %d rejected messages", ingested.accepted, ingested.rejected)
        reader.commit(offsets)
    report.next_offsets = offsets
    return report


def _decoded(batches: Generator[Batch], future_allowance: timedelta) -> Generator[tuple[Batch, Decoded]]:
    with closing(batches):
        for batch in batches:
            yield batch, decode(batch.messages, utc_now(), future_allowance)
