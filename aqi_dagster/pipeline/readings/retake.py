"""Rejected messages, decoded once more: what is a reading by now becomes one, exactly once, under its own offset.

A message that only lay in the future by our clock is taken again by every pull, once it does not any more. All others
stay as they are until somebody asks for them, because today's definition may take what an older one did not.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from aqi_dagster.pipeline.decoding.decode import decode
from aqi_dagster.pipeline.decoding.fields import OWN_NAMES, FieldNames
from aqi_dagster.pipeline.readings.insert import drop_rejected, ingest
from aqi_dagster.pipeline.store.sql import Writer, transaction
from aqi_dagster.pipeline.topic.batches import MESSAGES_SCHEMA

MOST_BYTES = 16 << 20
"""Bytes of keys and values that one transaction takes again."""

_LENGTHS = """
SELECT topic_generation, ingested_at, kafka_partition, kafka_offset,
    coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0)
FROM rejected_messages
WHERE due_at <= $due OR $all
ORDER BY topic_generation, ingested_at, kafka_partition, kafka_offset
"""

_MESSAGES = """
SELECT kafka_partition, kafka_offset, key, value
FROM rejected_messages
WHERE topic_generation = $generation AND ingested_at = $ingested_at AND (due_at <= $due OR $all)
    AND (kafka_partition, kafka_offset) BETWEEN ($first_partition, $first_offset) AND ($last_partition, $last_offset)
ORDER BY kafka_partition, kafka_offset
"""


@dataclass(frozen=True)
class Retaken:
    """Rejected messages that were decoded again, and how many became readings (``repeated`` ones among them)."""

    messages: int = 0
    accepted: int = 0
    repeated: int = 0

    def __add__(self, other: "Retaken") -> "Retaken":
        return Retaken(self.messages + other.messages, self.accepted + other.accepted, self.repeated + other.repeated)


@dataclass(frozen=True)
class _Group:
    """Rejected messages of one pull that are taken again together: from the first to the last (partition, offset)."""

    generation: int
    ingested_at: datetime
    first: tuple[int, int]
    last: tuple[int, int]


def retake_due(writer: Writer, now: datetime, future_allowance: timedelta, names: FieldNames = OWN_NAMES) -> Retaken:
    """Take again what was rejected only for lying in the future and does not any more; ``now`` is naive UTC."""
    return _retake(writer, now, future_allowance, names, everything=False)


def retake_all(writer: Writer, now: datetime, future_allowance: timedelta, names: FieldNames = OWN_NAMES) -> Retaken:
    """Take again all rejected messages; those that are still no readings get the reason of today's definition."""
    return _retake(writer, now, future_allowance, names, everything=True)


def _retake(writer: Writer, now: datetime, future_allowance: timedelta, names: FieldNames, everything: bool) -> Retaken:
    which = {"due": now + future_allowance, "all": everything}
    retaken = Retaken()
    for group in _groups(writer, which):
        parameters = {
            **which,
            "generation": group.generation,
            "ingested_at": group.ingested_at,
            **dict(zip(("first_partition", "first_offset"), group.first, strict=True)),
            **dict(zip(("last_partition", "last_offset"), group.last, strict=True)),
        }
        messages = writer.sql(_MESSAGES, params=parameters).to_arrow_table().cast(MESSAGES_SCHEMA)
        decoded = decode(messages, now, future_allowance, names)
        with transaction(writer):
            drop_rejected(writer, messages.select(["kafka_partition", "kafka_offset"]), group.generation)
            ingested = ingest(writer, decoded, group.generation, group.ingested_at)
        retaken += Retaken(len(messages), ingested.accepted, ingested.repeated)
    return retaken


def _groups(writer: Writer, which: dict[str, object]) -> Iterator[_Group]:
    """The rejected messages in order of generation, pull and offset, in groups of at most :data:`MOST_BYTES`."""
    group: _Group | None = None
    held = 0
    for generation, ingested_at, partition, offset, length in writer.execute(_LENGTHS, which).fetchall():
        place = (partition, offset)
        if group and (group.generation, group.ingested_at) == (generation, ingested_at) and held + length <= MOST_BYTES:
            group = _Group(generation, ingested_at, group.first, place)
            held += length
        else:
            if group:
                yield group
            group, held = _Group(generation, ingested_at, place, place), length
    if group:
        yield group
