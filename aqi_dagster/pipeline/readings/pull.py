"""One pull: everything that the topic holds beyond the stored offsets, into the store, exactly once.

The rows of a chunk and the offsets behind it are one transaction, and the offsets are compared inside it. A pull
that dies leaves whole chunks; the next one goes on behind them.
"""

import atexit
import gc
import logging
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache

import pyarrow as pa
from confluent_kafka import Consumer
from duckdb import DuckDBPyConnection

from aqi_dagster.errors import ConcurrentPullError, TopicRecreatedError
from aqi_dagster.pipeline.decoding.decode import Decoded, decode
from aqi_dagster.pipeline.read_ahead import read_ahead
from aqi_dagster.pipeline.readings.chunks import Chunk, gather
from aqi_dagster.pipeline.readings.insert import ingest
from aqi_dagster.pipeline.store.sql import registered, run_script, transaction
from aqi_dagster.pipeline.topic.batches import Batch
from aqi_dagster.pipeline.topic.reader import Topic, TopicReader
from aqi_dagster.windows import utc_now

_MOVES = pa.schema(
    [
        ("kafka_partition", pa.int32()),
        ("first_offset", pa.int64()),
        ("next_offset", pa.int64()),
        ("count_messages", pa.int64()),
        ("total_messages", pa.int64()),
    ]
)

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
    """Messages that a pull took in, and the next offset of each partition."""

    accepted: int = 0
    repeated: int = 0
    rejected: int = 0
    next_offsets: dict[int, int] = field(default_factory=dict)


def pull(connection: DuckDBPyConnection, reader: TopicReader, policy: PullPolicy) -> PullReport:
    """Bring the store up to the present end of the topic, chunk by chunk.

    Raises the Kafka errors of :mod:`aqi_dagster.errors`; chunks committed before the error stay.
    """
    topic = reader.describe()
    generation = topic_generation(connection, topic, policy)
    offsets = _stored_offsets(connection, generation)
    report = PullReport()
    with _no_garbage_collection(), reader.consumer() as consumer:
        if policy.skip_expired_offsets:
            offsets |= _pass_over_gaps(connection, reader, consumer, generation, offsets)
        starts = {partition: offsets.get(partition) for partition in topic.partitions}
        # One thread reads, another decodes, and this one writes.
        batches = read_ahead(reader.batches(consumer, starts), ahead=_BATCHES_AHEAD)
        with closing(read_ahead(_decoded(batches, policy.future_allowance), ahead=_DECODED_AHEAD)) as decoded:
            for chunk in gather(decoded, reader.chunk_messages, reader.chunk_bytes):
                _require_same_making(topic, reader.describe())
                now = utc_now()
                with transaction(connection):
                    _advance_offsets(connection, topic, generation, offsets, chunk, now)
                    ingested = ingest(connection, chunk.decoded, generation, now)
                offsets |= chunk.next_offsets
                report.accepted += ingested.accepted
                report.repeated += ingested.repeated
                report.rejected += ingested.rejected
                _log.info("took in %d readings and %d rejected messages", ingested.accepted, ingested.rejected)
        reader.commit(offsets)
    report.next_offsets = offsets
    return report


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Messages die by reference count, but come in such numbers that the collector starts again and again.

    Each time it would look at all that lives, most of which is Dagster's: a third of the time of a long pull.
    """
    _set_aside_what_lives()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@cache
def _set_aside_what_lives() -> None:
    """Spare the collector what lives before the first pull of this process, modules and definitions for the most part.

    They are there until its end, and to look through them takes a fifth of a second, after the pull too.
    """
    gc.freeze()
    # The last collection, at the end of the process, has to find them: DuckDB complains of what outlives it.
    atexit.register(gc.unfreeze)


def topic_generation(connection: DuckDBPyConnection, topic: Topic, policy: PullPolicy) -> int:
    """Which making of the topic this is: 1 at first, one more each time the broker shows a new topic id.

    Raises :class:`TopicRecreatedError` if the store holds another making and ``policy`` does not have it reread.
    """
    row = connection.execute(
        "SELECT topic, topic_id, topic_generation FROM kafka_offsets ORDER BY topic_generation DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return 1
    name, topic_id, generation = row
    if name == topic.name and (topic_id == topic.topic_id or None in (topic_id, topic.topic_id)):
        return int(generation)
    if policy.reread_recreated_topic:
        _log.warning("topic %r was made anew: reading it from its beginning", topic.name)
        return int(generation) + 1
    raise TopicRecreatedError(
        f"The store holds readings of topic {name!r} with id {topic_id}, but the broker now has topic {topic.name!r} "
        f"with id {topic.topic_id}: it was deleted and made again, or the settings point to another topic. If it "
        "shall be read from its beginning (readings that are already here count once), set "
        "KAFKA_ON_RECREATED_TOPIC=reread for one run; else point KAFKA_BOOTSTRAP_SERVERS and KAFKA_TOPIC back."
    )


def _decoded(batches: Generator[Batch], future_allowance: timedelta) -> Generator[tuple[Batch, Decoded]]:
    with closing(batches):
        for batch in batches:
            yield batch, decode(batch.messages, utc_now(), future_allowance)


def _require_same_making(topic: Topic, now: Topic) -> None:
    """Raise :class:`TopicRecreatedError` if the topic was made anew: a consumer would read on in the other one."""
    if now.topic_id != topic.topic_id:
        raise TopicRecreatedError(
            f"Topic {topic.name!r} was deleted and made again while it was read: its id was {topic.topic_id} and "
            f"is now {now.topic_id}. What was taken in before is kept. If it shall be read from its beginning "
            "(readings that are already here count once), set KAFKA_ON_RECREATED_TOPIC=reread for one run."
        )


def _stored_offsets(connection: DuckDBPyConnection, generation: int) -> dict[int, int]:
    rows = connection.execute(
        "SELECT kafka_partition, next_offset FROM kafka_offsets WHERE topic_generation = ?", [generation]
    ).fetchall()
    return dict(rows)


def _pass_over_gaps(
    connection: DuckDBPyConnection,
    reader: TopicReader,
    consumer: Consumer,
    generation: int,
    offsets: Mapping[int, int],
) -> dict[int, int]:
    """Move offsets that retention has overtaken to the oldest message that is left, and record what is lost."""
    oldest = reader.first_offsets(consumer, offsets)
    moved = {partition: first for partition, first in oldest.items() if first > offsets[partition]}
    for partition, first in moved.items():
        _log.warning("partition %d: offsets %d to %d are lost", partition, offsets[partition], first - 1)
        now = utc_now()
        with transaction(connection):
            connection.execute(
                "INSERT INTO offset_gaps VALUES (?, ?, ?, ?, ?)",
                [generation, partition, offsets[partition], first - 1, now],
            )
            connection.execute(
                "UPDATE kafka_offsets SET next_offset = ?, updated_at = ? "
                "WHERE topic_generation = ? AND kafka_partition = ?",
                [first, now, generation, partition],
            )
    return moved


def _advance_offsets(
    connection: DuckDBPyConnection,
    topic: Topic,
    generation: int,
    expected: Mapping[int, int],
    chunk: Chunk,
    now: datetime,
) -> None:
    """Move the offsets of a chunk's partitions, if they still stand where this pull left them."""
    held = {
        partition: (next_offset, messages)
        for partition, next_offset, messages in connection.execute(
            "SELECT kafka_partition, next_offset, messages FROM kafka_offsets WHERE topic_generation = ?", [generation]
        ).fetchall()
    }
    moves = []
    for partition, next_offset in chunk.next_offsets.items():
        stored, messages = held.get(partition, (None, 0))
        if stored != expected.get(partition):
            raise ConcurrentPullError(
                f"Topic {topic.name!r}, partition {partition}: another pull moved the next offset from "
                f"{expected.get(partition)} to {stored}. Nothing of this chunk was kept; run again."
            )
        # A partition that was never read begins with the oldest message that the broker still has.
        first = chunk.first_offsets.get(partition, next_offset) if stored is None else stored
        count = chunk.messages[partition]
        moves.append((partition, first, next_offset, count, messages + count))
    columns = zip(_MOVES.names, zip(*moves, strict=True), strict=True)
    with registered(connection, "moves", pa.table(dict(columns), _MOVES)):
        run_script(
            connection,
            __package__,
            "advance_offsets.sql",
            topic=topic.name,
            topic_id=topic.topic_id,
            generation=generation,
            now=now,
        )
