"""What may be wrong with the stored tables although every run succeeded."""

from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.retention import startable


@dataclass(frozen=True)
class OutdatedScores:
    """Windows whose scores are not what one pass over all readings would give, and the range that mends them.

    ``late_readings`` came after their window was scored; ``stale_windows`` build on windows scored anew since.
    """

    late_readings: int
    stale_windows: int
    first: datetime | None
    last: datetime | None


def outdated_scores(connection: DuckDBPyConnection, first_window: datetime) -> OutdatedScores:
    """Late readings and stale windows between the first and the last scored window from ``first_window`` on.

    Readings of a window that was passed over count as late too.
    """
    rows = connection.execute(
        """
        WITH bounds AS (
            SELECT min(window_start) AS first_scored, max(window_start) AS last_scored
            FROM windows
            WHERE scored IS NOT NULL AND window_start >= $first_window
        ), chain AS (
            SELECT
                window_start,
                readings - coalesce(scored, 0) AS late,
                coalesce(revision < max(revision) OVER (ORDER BY window_start), false) AS stale
            FROM windows, bounds
            WHERE window_start BETWEEN first_scored AND last_scored
        )
        SELECT
            coalesce(sum(late), 0),
            count(*) FILTER (stale),
            min(window_start) FILTER (stale OR late > 0),
            max(window_start)
        FROM chain
        """,
        {"first_window": first_window},
    ).fetchall()
    late, stale, first, last = rows[0]
    if first is None:
        return OutdatedScores(0, 0, None, None)
    return OutdatedScores(late, stale, startable(connection, first, first_window), last)


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
    rows = connection.execute(
        """
        WITH latest AS (
            SELECT max(pulled_at) - INTERVAL 1 DAY AS since FROM pulled_offsets
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
        ), total AS (
            SELECT
                topic_generation,
                kafka_partition,
                count(*) AS messages,
                count(DISTINCT kafka_offset) AS offsets
            FROM kept
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
    ).fetchall()
    return [
        PartitionFault(generation, partition, f"{read} messages read, {kept} rows kept, {offsets} offsets among them")
        for generation, partition, read, kept, offsets in rows
    ]


def missing_offsets(connection: DuckDBPyConnection) -> list[PartitionFault]:
    """Ranges of offsets that no pull read, other than those that retention removed and a setting let pass."""
    rows = connection.execute(
        """
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
    ).fetchall()
    return [
        PartitionFault(generation, partition, f"offset {found} was read after {expected}")
        for generation, partition, expected, found in rows
    ]
