"""Rejected messages, decoded once more: what is a reading by now becomes one, exactly once, under its own offset.

A message that only lay in the future by our clock is taken again by every pull, once it does not any more. All others
stay as they are until somebody asks for them, because today's definition may take what an older one did not.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pyarrow as pa

from aqi_dagster.message_fields import OWN_NAMES, FieldNames
from aqi_dagster.pipeline.decoding.decode import Decoded, decode
from aqi_dagster.pipeline.readings.insert import drop_rejected, ingest
from aqi_dagster.pipeline.store.sql import Writer, transaction
from aqi_dagster.pipeline.topic.batches import MESSAGES_SCHEMA

MOST_BYTES = 16 << 20
"""Bytes of keys and values that one transaction takes again."""

MOST_MESSAGES = 30_720
"""Messages that one transaction takes again: they are decoded one by one."""

# In order of offset, whenever they were pulled: of two readings of the same time the first one that was sent counts.
_GROUPS = """
WITH numbered AS (
    SELECT
        topic_generation,
        kafka_partition,
        ingested_at,
        kafka_offset,
        row_number() OVER pulled AS number,
        sum(coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0)) OVER pulled AS bytes
    FROM rejected_messages
    WHERE due_at <= $due OR $all
    WINDOW pulled AS (PARTITION BY topic_generation, kafka_partition, ingested_at ORDER BY kafka_offset)
)
SELECT topic_generation, kafka_partition, ingested_at, min(kafka_offset), max(kafka_offset)
FROM numbered
GROUP BY topic_generation, kafka_partition, ingested_at, number // $most_messages, bytes // $most_bytes
ORDER BY topic_generation, kafka_partition, min(kafka_offset)
"""

_MESSAGES = """
SELECT kafka_partition, kafka_offset, key, value, reason, due_at
FROM rejected_messages
WHERE
    topic_generation = $generation
    AND kafka_partition = $partition
    AND ingested_at = $ingested_at
    AND kafka_offset BETWEEN $first AND $last
    AND (due_at <= $due OR $all)
ORDER BY kafka_offset
"""


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
    return _retake(writer, now, future_allowance, names, everything=False)


def retake_all(writer: Writer, now: datetime, future_allowance: timedelta, names: FieldNames = OWN_NAMES) -> Retaken:
    """Take again all rejected messages; those that are still no readings get the reason of today's definition."""
    return _retake(writer, now, future_allowance, names, everything=True)


def _retake(writer: Writer, now: datetime, future_allowance: timedelta, names: FieldNames, everything: bool) -> Retaken:
    which = {"due": now + future_allowance, "all": everything}
    limits = {"most_messages": MOST_MESSAGES, "most_bytes": MOST_BYTES}
    retaken = Retaken()
    for group in [_Group(*row) for row in writer.execute(_GROUPS, {**which, **limits}).fetchall()]:
        rejected = writer.sql(_MESSAGES, params={**which, **vars(group)}).to_arrow_table()
        messages = rejected.select(MESSAGES_SCHEMA.names).cast(MESSAGES_SCHEMA)
        decoded = _without_unchanged(decode(messages, now, future_allowance, names), rejected)
        retaken += Retaken(len(messages))
        if len(decoded.readings) or len(decoded.rejected):
            with transaction(writer):
                drop_rejected(writer, _places(decoded), group.generation)
                ingested = ingest(writer, decoded, group.generation, group.ingested_at)
            retaken += Retaken(0, ingested.accepted, ingested.repeated)
    return retaken


def _without_unchanged(decoded: Decoded, before: pa.Table) -> Decoded:
    """``decoded`` without the messages that are no readings for the same reason as ``before``: they stay untouched."""
    columns = ["kafka_partition", "kafka_offset", "reason", "due_at"]
    known = {tuple(row.values()) for row in before.select(columns).to_pylist()}
    changed = [tuple(row.values()) not in known for row in decoded.rejected.select(columns).to_pylist()]
    return replace(decoded, rejected=decoded.rejected.filter(pa.array(changed, pa.bool_())))


def _places(decoded: Decoded) -> pa.Table:
    columns = ["kafka_partition", "kafka_offset"]
    return pa.concat_tables([decoded.readings.select(columns), decoded.rejected.select(columns)])
