"""Rejected messages, decoded once more: what is a reading by now becomes one, exactly once, under its own offset.

A message that only lay in the future by our clock is taken again by every pull, once it does not any more. All others
stay as they are until somebody asks for them, because today's definition may take what an older one did not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import accumulate, groupby
from typing import Any

import duckdb
import pyarrow as pa

from aqi_dagster.message_fields import OWN_NAMES, FieldNames
from aqi_dagster.pipeline.decoding.decode import Decoded, decode
from aqi_dagster.pipeline.readings.insert import drop_rejected, ingest
from aqi_dagster.pipeline.store.sql import Writer, transaction
from aqi_dagster.pipeline.topic.batches import MESSAGES_SCHEMA
from aqi_dagster.progress import Progress, unwatched

MOST_BYTES = 16 << 20
"""Bytes of keys and values that one transaction takes again."""

MOST_MESSAGES = 30_720
"""Messages that one transaction takes again: they are decoded one by one."""

# In order of offset, whenever they were pulled: of two readings of the same time the first one that was sent counts.
_PLACES = """
SELECT topic_generation, kafka_partition, ingested_at, kafka_offset
FROM rejected_messages
WHERE due_at <= $due OR $all
ORDER BY topic_generation, kafka_partition, kafka_offset
"""

_OF_GROUP = """
FROM rejected_messages
WHERE
    topic_generation = $generation
    AND kafka_partition = $partition
    AND ingested_at = $ingested_at
    AND kafka_offset BETWEEN $first AND $last
    AND (due_at <= $due OR $all)
ORDER BY kafka_offset
"""

_BYTES = "SELECT coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0)" + _OF_GROUP

_MESSAGES = "SELECT kafka_partition, kafka_offset, key, value, reason, due_at" + _OF_GROUP


@dataclass(frozen=True)
class Retaken:
    """Rejected messages that were decoded again, and how many became readings (``repeated`` ones among them)."""

    messages: int = 0
    accepted: int = 0
    repeated: int = 0

    def __add__(self, other: "Retaken") -> "Retaken":
        return Retaken(self.messages + other.messages, self.accepted + other.accepted, self.repeated + other.repeated)

    @property
    def remaining(self) -> int:
        """How many are still no readings."""
        return self.messages - self.accepted


@dataclass(frozen=True)
class _Group:
    """Rejected messages of one Kafka partition and pull that are taken again together: those between two offsets."""

    generation: int
    partition: int
    ingested_at: datetime
    first: int
    last: int


def retake_due(writer: Writer, now: datetime, future_allowance: timedelta, names: FieldNames = OWN_NAMES) -> Retaken:
    """Take again what was rejected only for lying in the future and does not any more; ``now`` is naive UTC."""
    return _retake(writer, now, future_allowance, names, unwatched, everything=False)


def retake_all(
    writer: Writer,
    now: datetime,
    future_allowance: timedelta,
    names: FieldNames = OWN_NAMES,
    progress: Progress = unwatched,
) -> Retaken:
    """Take again all rejected messages; those that are still no readings get the reason of today's definition.

    ``progress`` is in messages.
    """
    return _retake(writer, now, future_allowance, names, progress, everything=True)


def _retake(
    writer: Writer,
    now: datetime,
    future_allowance: timedelta,
    names: FieldNames,
    progress: Progress,
    everything: bool,
) -> Retaken:
    which = {"due": now + future_allowance, "all": everything}
    retaken = Retaken()
    for group in _groups(writer, which):
        rejected = writer.sql(_MESSAGES, params={**which, **vars(group)}).to_arrow_table()
        messages = rejected.select(MESSAGES_SCHEMA.names).cast(MESSAGES_SCHEMA)
        decoded = _without_unchanged(decode(messages, now, future_allowance, names), rejected)
        retaken += Retaken(len(messages))
        if len(decoded.readings) or len(decoded.rejected):
            with transaction(writer):
                drop_rejected(writer, _places(decoded), group.generation)
                ingested = ingest(writer, decoded, group.generation, group.ingested_at)
            retaken += Retaken(0, ingested.accepted, ingested.repeated)
        progress("rejected messages decoded again", retaken.messages)
    return retaken


def _groups(writer: Writer, which: dict[str, Any]) -> Iterator[_Group]:
    """The rejected messages that are to be taken again, in groups of bounded size."""
    # All places first, as what is taken again leaves the table.
    rows = writer.execute(_PLACES, which).fetchall()
    for (generation, partition, ingested_at), places in groupby(rows, key=lambda row: row[:3]):
        offsets = [row[3] for row in places]
        for begin in range(0, len(offsets), MOST_MESSAGES):
            some = offsets[begin : begin + MOST_MESSAGES]
            whole = _Group(generation, partition, ingested_at, some[0], some[-1])
            filled = accumulate(_sizes(writer, which, whole, some))
            for _, parts in groupby(zip(filled, some, strict=True), key=lambda part: part[0] // MOST_BYTES):
                group = [offset for _, offset in parts]
                yield replace(whole, first=group[0], last=group[-1])


def _sizes(writer: Writer, which: dict[str, Any], group: _Group, offsets: Sequence[int]) -> list[int]:
    """The bytes of each of the messages of ``group``, whose ``offsets`` these are.

    DuckDB loads two thousand messages at once to measure them: where these are too much for its memory, half of them is
    asked for at a time.
    """
    try:
        return [size for (size,) in writer.execute(_BYTES, {**which, **vars(group)}).fetchall()]
    except duckdb.OutOfMemoryException:
        if len(offsets) == 1:
            raise
    halves = offsets[: len(offsets) // 2], offsets[len(offsets) // 2 :]
    return [
        size for half in halves for size in _sizes(writer, which, replace(group, first=half[0], last=half[-1]), half)
    ]


def _without_unchanged(decoded: Decoded, before: pa.Table) -> Decoded:
    """``decoded`` without the messages that are no readings for the same reason as ``before``: they stay untouched."""
    columns = ["kafka_partition", "kafka_offset", "reason", "due_at"]
    known = {tuple(row.values()) for row in before.select(columns).to_pylist()}
    changed = [tuple(row.values()) not in known for row in decoded.rejected.select(columns).to_pylist()]
    return replace(decoded, rejected=decoded.rejected.filter(pa.array(changed, pa.bool_())))


def _places(decoded: Decoded) -> pa.Table:
    columns = ["kafka_partition", "kafka_offset"]
    return pa.concat_tables([decoded.readings.select(columns), decoded.rejected.select(columns)])
