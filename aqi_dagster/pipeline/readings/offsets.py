"""How far each partition of the topic has been read, and of which generation of the topic.

This module alone writes the tables ``kafka_offsets``, ``pulled_offsets`` and ``offset_gaps``. A topic that was deleted
and made again is another *generation* of it, whose offsets begin anew.
"""

import logging
from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa
from duckdb import DuckDBPyConnection

from aqi_dagster.errors import ConcurrentPullError, TopicRecreatedError
from aqi_dagster.pipeline.readings.chunks import Chunk
from aqi_dagster.pipeline.store.sql import Writer, registered, run_script, transaction
from aqi_dagster.pipeline.topic.reader import Topic
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

_log = logging.getLogger(__name__)


def topic_generation(connection: DuckDBPyConnection, topic: Topic, reread_recreated: bool = False) -> int:
    """The generation of the topic: 1 at first, one more each time the broker shows a new topic id.

    Raises :class:`TopicRecreatedError` if the store holds another generation, unless ``reread_recreated``.
    """
    row = connection.execute(
        "SELECT topic, topic_id, topic_generation FROM kafka_offsets ORDER BY topic_generation DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return 1
    name, topic_id, generation = row
    if name == topic.name and (topic_id == topic.topic_id or None in (topic_id, topic.topic_id)):
        return int(generation)
    if reread_recreated:
        _log.warning("topic %r was made anew: reading it from its beginning", topic.name)
        return int(generation) + 1
    raise TopicRecreatedError(
        f"The store holds readings of topic {name!r} with id {topic_id}, but the broker now has topic {topic.name!r} "
        f"with id {topic.topic_id}: it was deleted and made again, or the settings point to another topic. If it "
        "shall be read from its beginning (readings that are already here count once), set "
        "KAFKA_ON_RECREATED_TOPIC=reread for one run; else point KAFKA_BOOTSTRAP_SERVERS and KAFKA_TOPIC back."
    )


def require_same_generation(topic: Topic, now: Topic) -> None:
    """Raise :class:`TopicRecreatedError` if the topic was made anew: a consumer would read on in the other one."""
    if now.topic_id != topic.topic_id:
        raise TopicRecreatedError(
            f"Topic {topic.name!r} was deleted and made again while it was read: its id was {topic.topic_id} and "
            f"is now {now.topic_id}. What was taken in before is kept. If it shall be read from its beginning "
            "(readings that are already here count once), set KAFKA_ON_RECREATED_TOPIC=reread for one run."
        )


def next_offsets(connection: DuckDBPyConnection, generation: int) -> dict[int, int]:
    """The offset at which the next pull starts, by partition; partitions that were never read are left out."""
    rows = connection.execute(
        "SELECT kafka_partition, next_offset FROM kafka_offsets WHERE topic_generation = ?", [generation]
    ).fetchall()
    return dict(rows)


def skip_expired(
    writer: Writer, oldest: Mapping[int, int], generation: int, offsets: Mapping[int, int]
) -> dict[int, int]:
    """Move ``offsets`` that retention has overtaken to the ``oldest`` message that is left; returns those that moved.

    What is lost is recorded in ``offset_gaps``.
    """
    moved = {partition: first for partition, first in oldest.items() if first > offsets[partition]}
    for partition, first in moved.items():
        _log.warning("partition %d: offsets %d to %d are lost", partition, offsets[partition], first - 1)
        now = utc_now()
        with transaction(writer):
            writer.execute(
                "INSERT INTO offset_gaps VALUES (?, ?, ?, ?, ?)",
                [generation, partition, offsets[partition], first - 1, now],
            )
            writer.execute(
                "UPDATE kafka_offsets SET next_offset = ?, updated_at = ? "
                "WHERE topic_generation = ? AND kafka_partition = ?",
                [first, now, generation, partition],
            )
    return moved


def advance_offsets(
    writer: Writer, topic: Topic, generation: int, expected: Mapping[int, int], chunk: Chunk, now: datetime
) -> None:
    """Move the offsets of a chunk's partitions, if they still stand where this pull left them.

    Raises :class:`ConcurrentPullError` otherwise. ``now`` is the time of the pull, naive UTC.
    """
    stored = {
        partition: (next_offset, messages)
        for partition, next_offset, messages in writer.execute(
            "SELECT kafka_partition, next_offset, messages FROM kafka_offsets WHERE topic_generation = ?", [generation]
        ).fetchall()
    }
    moves = []
    for partition, next_offset in chunk.next_offsets.items():
        begin, messages = stored.get(partition, (None, 0))
        if begin != expected.get(partition):
            raise ConcurrentPullError(
                f"Topic {topic.name!r}, partition {partition}: another pull moved the next offset from "
                f"{expected.get(partition)} to {begin}. Nothing of this chunk was kept; run again."
            )
        # A partition that was never read begins with the oldest message that the broker still has.
        first = chunk.first_offsets.get(partition, next_offset) if begin is None else begin
        count = chunk.messages[partition]
        moves.append((partition, first, next_offset, count, messages + count))
    columns = zip(_MOVES.names, zip(*moves, strict=True), strict=True)
    parameters = {"topic": topic.name, "topic_id": topic.topic_id, "generation": generation, "now": now}
    with registered(writer, "moves", pa.table(dict(columns), _MOVES)):
        run_script(writer, __package__, "advance_offsets.sql", **parameters)
