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
    return OutdatedScores(*rows[0]) if rows[0][2] is not None else OutdatedScores(0, 0, None, None)


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
