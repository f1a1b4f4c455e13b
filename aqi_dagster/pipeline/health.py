"""What may be wrong with the stored tables although every run succeeded."""

from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class OutdatedScores:
    """Windows whose scores are not what one pass over all readings would give, and the range that mends them.

    ``late_readings`` came after their window was scored; ``stale_windows`` build on windows scored anew since.
    """

    late_readings: int
    stale_windows: int
    first: datetime | None
    last: datetime | None


def outdated_scores(connection: DuckDBPyConnection) -> OutdatedScores:
    """Late readings and stale windows among the windows that were scored."""
    row = connection.execute(
        """
        WITH chain AS (
            SELECT
                window_start,
                readings - scored AS late,
                revision < max(revision) OVER (ORDER BY window_start) AS stale
            FROM windows
            WHERE scored IS NOT NULL
        )
        SELECT
            coalesce(sum(late), 0),
            count(*) FILTER (stale),
            min(window_start) FILTER (stale OR late > 0),
            max(window_start)
        FROM chain
        """
    ).fetchone()
    if row is None or row[2] is None:
        return OutdatedScores(0, 0, None, None)
    return OutdatedScores(*row)


def unaccounted_messages(connection: DuckDBPyConnection) -> list[tuple[int, int, int, int, int]]:
    """Partitions whose rows do not add up.

    Each as (topic generation, Kafka partition, messages read, rows kept, distinct offsets among them).
    """
    return connection.execute(
        """
        WITH kept AS (
            SELECT topic_generation, kafka_partition, kafka_offset FROM readings
            UNION ALL
            SELECT topic_generation, kafka_partition, kafka_offset FROM rejected_messages
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
            coalesce(kafka_offsets.messages, 0) AS read,
            coalesce(total.messages, 0) AS kept,
            coalesce(total.offsets, 0) AS offsets
        FROM kafka_offsets FULL JOIN total USING (topic_generation, kafka_partition)
        WHERE read <> kept OR kept <> offsets
        ORDER BY ALL
        """
    ).fetchall()
