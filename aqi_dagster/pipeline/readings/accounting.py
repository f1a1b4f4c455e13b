"""What may be wrong with the stored tables although every run succeeded."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.detection.retention import startable
from aqi_dagster.pipeline.store.sql import scalar
from aqi_dagster.pipeline.verdicts.aqi import MAX_PM25_CF1

REMEMBERED = timedelta(days=1)
"""A sensor that reported in this time before a window is expected to report in it; later it counts as taken down."""

STUCK_FOR = timedelta(hours=6)
"""Time after which the very same PM2.5 is no measurement: two decimals of it change even in the cleanest air."""

IMPOSSIBLE_FOR = timedelta(hours=2)
"""Time after which PM2.5 that no sensor can measure is more than a passing insect."""


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
class OutdatedVerdicts:
    """Windows whose verdicts do not follow from their present scores, and the range that mends them."""

    windows: int
    first: datetime | None
    last: datetime | None


def outdated_verdicts(connection: DuckDBPyConnection, first_window: datetime) -> OutdatedVerdicts:
    """Windows from ``first_window`` on that were scored after they were last classified: their run died in between."""
    (row,) = connection.execute(
        "SELECT count(*), min(window_start), max(window_start) FROM windows "
        "WHERE window_start >= ? AND scored > 0 AND classified IS DISTINCT FROM revision",
        [first_window],
    ).fetchall()
    windows, first, last = row
    return OutdatedVerdicts(windows, first and startable(connection, first, first_window), last)


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


def newest_window(connection: DuckDBPyConnection, asked: datetime) -> datetime:
    """The newest window that was ever scored, or ``asked`` if that is newer.

    A backfill of old windows is no reason to judge what sensors did then.
    """
    scored: datetime | None = scalar(connection, "SELECT max(window_start) FROM windows WHERE scored IS NOT NULL")
    return max(asked, scored or asked)


@dataclass(frozen=True)
class Reporting:
    """Sensors that reported in a window or since, and those that fell silent, with the time of their last reading."""

    reporting: int
    silent: dict[str, datetime]


def sensors_reporting(connection: DuckDBPyConnection, window: datetime) -> Reporting:
    """Which sensors reported in ``window`` (start) or since, and which only in :data:`REMEMBERED` before it."""
    return Reporting(
        scalar(connection, "SELECT count(*) FROM sensors WHERE last_reading >= ?", [window]),
        dict(
            connection.execute(
                "SELECT sensor, last_reading FROM sensors WHERE last_reading < ? AND last_reading >= ? "
                "ORDER BY last_reading, sensor",
                [window, window - REMEMBERED],
            ).fetchall()
        ),
    )


@dataclass(frozen=True)
class Implausible:
    """Readings of a sensor in a row that cannot be measurements: the same value, or values out of any range.

    ``first`` and ``last`` are their times, ``pm25`` is the first value (ug/m3).
    """

    sensor: str
    impossible: bool
    pm25: float
    first: datetime
    last: datetime

    def __str__(self) -> str:
        fault = f"impossible values such as {self.pm25:.2f}" if self.impossible else f"the same {self.pm25:.2f}"
        return f"{self.sensor}: {fault} ug/m3 from {self.first:%H:%M} to {self.last:%H:%M}"


def implausible_sensors(connection: DuckDBPyConnection, window: datetime) -> list[Implausible]:
    """The sensors that were stuck or read the impossible for hours of ``window`` (start), each with its longest row."""
    rows = connection.execute(
        """
        WITH kept AS (
            SELECT sensor, created_at, pm25_cf1, pm25_cf1 NOT BETWEEN 0 AND $max AS impossible
            FROM readings
            WHERE window_start = $window AND NOT repeated
        ), marked AS (
            SELECT
                *,
                pm25_cf1 IS DISTINCT FROM lag(pm25_cf1) OVER series AND NOT (
                    impossible AND coalesce(lag(impossible) OVER series, false)
                ) AS begins
            FROM kept
            WINDOW series AS (PARTITION BY sensor ORDER BY created_at)
        ), numbered AS (
            SELECT *, count(*) FILTER (begins) OVER (PARTITION BY sensor ORDER BY created_at) AS number
            FROM marked
        ), stretches AS (
            SELECT
                sensor,
                impossible,
                arg_min(pm25_cf1, created_at) AS pm25,
                min(created_at) AS first,
                max(created_at) AS last
            FROM numbered
            GROUP BY sensor, number, impossible
        )
        SELECT * FROM stretches
        WHERE last - first >= CASE WHEN impossible THEN $impossible_for ELSE $stuck_for END
        QUALIFY row_number() OVER (PARTITION BY sensor ORDER BY last - first DESC, first) = 1
        ORDER BY sensor
        """,
        {"window": window, "max": MAX_PM25_CF1, "impossible_for": IMPOSSIBLE_FOR, "stuck_for": STUCK_FOR},
    ).fetchall()
    return [Implausible(*row) for row in rows]
