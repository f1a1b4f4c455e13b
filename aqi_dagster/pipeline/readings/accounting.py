"""Whether each message that was pulled is one row, and which of them were rejected."""

from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.sql import scalar

_UNACCOUNTED = """
WITH latest AS (
    -- Not the greatest time: by a clock that was ahead once, nothing newer would be looked at for as long.
    SELECT arg_max(pulled_at, rowid) - INTERVAL 1 DAY AS since FROM pulled_offsets
), pulled AS (
    SELECT topic_generation, kafka_partition, sum(messages) AS messages
    FROM pulled_offsets
    WHERE pulled_at >= (SELECT since FROM latest)
    GROUP BY ALL
), kept AS (
    SELECT topic_generation, kafka_partition, kafka_offset
    FROM readings
    WHERE ingested_at >= (SELECT since FROM latest)
    UNION ALL
    SELECT topic_generation, kafka_partition, kafka_offset
    FROM rejected_messages
    WHERE ingested_at >= (SELECT since FROM latest)
), blocks AS (
    -- Distinct offsets, of which each sets a bit: five times as fast as count(DISTINCT).
    SELECT
        topic_generation,
        kafka_partition,
        kafka_offset // 64 AS block,
        count(*) AS messages,
        bit_or(1::HUGEINT << (kafka_offset % 64)) AS offsets
    FROM kept
    GROUP BY ALL
), total AS (
    SELECT
        topic_generation,
        kafka_partition,
        sum(messages)::BIGINT AS messages,
        sum(bit_count(offsets))::BIGINT AS offsets
    FROM blocks
    GROUP BY ALL
)
SELECT
    topic_generation,
    kafka_partition,
    coalesce(pulled.messages, 0) AS read,
    coalesce(total.messages, 0) AS kept,
    coalesce(total.offsets, 0) AS offsets
FROM pulled FULL JOIN total USING (topic_generation, kafka_partition)
WHERE read <> kept OR kept <> offsets
ORDER BY ALL
"""

_MISSING_OFFSETS = """
WITH steps AS (
    SELECT
        topic_generation,
        kafka_partition,
        first_offset,
        next_offset,
        lag(next_offset) OVER (
            PARTITION BY topic_generation, kafka_partition ORDER BY next_offset, first_offset
        ) AS expected
    FROM pulled_offsets
)
SELECT steps.topic_generation, steps.kafka_partition, expected, steps.first_offset
FROM steps ANTI JOIN offset_gaps
    ON steps.topic_generation = offset_gaps.topic_generation
    AND steps.kafka_partition = offset_gaps.kafka_partition
    AND expected = offset_gaps.first_offset
    AND steps.first_offset = offset_gaps.last_offset + 1
WHERE expected <> steps.first_offset
ORDER BY ALL
"""


@dataclass(frozen=True)
class PartitionFault:
    """A Kafka partition whose rows or offsets do not add up, and how."""

    generation: int
    partition: int
    fault: str

    def __str__(self) -> str:
        return f"partition {self.partition} (generation {self.generation}): {self.fault}"


def unaccounted_messages(connection: DuckDBPyConnection) -> list[PartitionFault]:
    """Partitions whose messages of the last day before the newest pull are not one row each."""
    rows = connection.execute(_UNACCOUNTED).fetchall()
    return [
        PartitionFault(generation, partition, f"{read} messages read, {kept} rows kept, {offsets} offsets among them")
        for generation, partition, read, kept, offsets in rows
    ]


def missing_offsets(connection: DuckDBPyConnection) -> list[PartitionFault]:
    """Ranges of offsets that no pull read, other than those that retention removed and a setting let pass."""
    rows = connection.execute(_MISSING_OFFSETS).fetchall()
    return [
        PartitionFault(generation, partition, f"offset {found} was read after {expected}")
        for generation, partition, expected, found in rows
    ]


@dataclass(frozen=True)
class PulledMessages:
    """Messages that were pulled, and how many of them were rejected for which reason."""

    messages: int
    rejected: dict[str, int]

    @property
    def rejected_share(self) -> float:
        """Share of the messages that were rejected, 0 to 1; 0 if there were none."""
        return sum(self.rejected.values()) / self.messages if self.messages else 0.0


def pulled_messages(connection: DuckDBPyConnection, since: datetime) -> PulledMessages:
    """What was pulled from ``since`` on; the most frequent reason first."""
    return PulledMessages(
        scalar(connection, "SELECT coalesce(sum(messages), 0) FROM pulled_offsets WHERE pulled_at >= ?", [since]),
        dict(
            connection.execute(
                "SELECT reason, count(*) FROM rejected_messages WHERE ingested_at >= ? GROUP BY ALL ORDER BY 2 DESC, 1",
                [since],
            ).fetchall()
        ),
    )


def readings_before(connection: DuckDBPyConnection, first_window: datetime) -> int:
    """How many readings, repeated ones not counted, lie before ``first_window`` (start) and so are never scored."""
    before: int = scalar(
        connection, "SELECT coalesce(sum(readings), 0) FROM windows WHERE window_start < ?", [first_window]
    )
    return before
