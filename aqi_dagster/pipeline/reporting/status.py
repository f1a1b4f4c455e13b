"""The state of the pipeline and the messages that wait for it, from the published copy and the broker."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from duckdb import DuckDBPyConnection

from aqi_dagster import defaults
from aqi_dagster.errors import KafkaError
from aqi_dagster.pipeline.detection.anomalies import Thresholds
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.health.sensors_to_judge import all_outdated_health
from aqi_dagster.pipeline.readings.accounting import readings_before
from aqi_dagster.pipeline.readings.offsets import topic_generation
from aqi_dagster.pipeline.regions.choice import RegionChoice
from aqi_dagster.pipeline.store.outdated import (
    OutdatedHealth,
    OutdatedScores,
    OutdatedVerdicts,
    UnscoredReadings,
    outdated_scores,
    outdated_verdicts,
    unscored_readings,
)
from aqi_dagster.pipeline.topic.reader import TopicReader
from aqi_dagster.pipeline.verdicts.classify_windows import Misplaced, misplaced_sensors, verdicts_hash
from aqi_dagster.pipeline.verdicts.outbox.attempts import Untold, untold_alerts
from aqi_dagster.pipeline.verdicts.regional_window import Rules
from aqi_dagster.sensors import devices
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, utc_now, window_start

_OFFSETS = """
SELECT kafka_partition, next_offset, updated_at
FROM kafka_offsets
WHERE topic_generation = (SELECT max(topic_generation) FROM kafka_offsets)
ORDER BY kafka_partition
"""

_DELIVERIES = """
SELECT channel, status, count(*)
FROM told_channels LEFT JOIN deliveries USING (channel)
WHERE channel <> 'slack' AND status IS NOT NULL
GROUP BY ALL
ORDER BY ALL
"""


@dataclass(frozen=True)
class PartitionStatus:
    """A Kafka partition: where the next pull starts, and how many messages wait (None if the broker does not say).

    ``updated_at`` is None if it was never read.
    """

    partition: int
    next_offset: int
    lag: int | None
    updated_at: datetime | None


@dataclass(frozen=True)
class StoreStatus:
    """The numbers of the published copy, and which of its results are missing or outdated.

    ``before_first_window`` are readings that are never scored. ``deliveries`` are alerts by channel beside Slack and
    status; ``untold`` are those that a channel, Slack or another, may not have.
    """

    readings: int
    rejected: int
    sensors: int
    newest_reading: datetime | None
    before_first_window: int
    first_window: datetime
    windows_scored: int
    newest_window: datetime | None
    verdicts: dict[str, int]
    alerts: dict[str, int]
    deliveries: dict[str, dict[str, int]]
    untold: list[Untold]
    unscored: UnscoredReadings | None
    outdated: OutdatedScores
    outdated_health: OutdatedHealth
    outdated_verdicts: OutdatedVerdicts
    misplaced: list[Misplaced]


@dataclass(frozen=True)
class Choices:
    """The settings that determine results; windows before ``first_window`` are not scored."""

    first_window: datetime
    parameters: DetectorParameters
    thresholds: Thresholds
    regions: RegionChoice
    rules: Rules


def store_status(
    connection: DuckDBPyConnection,
    choices: Choices,
    recent: timedelta = timedelta(hours=defaults.DIGEST_AFTER_HOURS),
) -> StoreStatus:
    """Numbers of the tables behind ``connection``, and what ``choices`` would change; alerts of ``recent`` windows."""
    regions = choices.regions.regions(connection)
    selection, verdicts = choices.thresholds.hash(), verdicts_hash(choices.thresholds, regions, choices.rules)
    ended = window_start(utc_now()) - WINDOW_LENGTH

    def one(query: str) -> Any:
        return connection.execute(query).fetchall()[0]

    newest_reading, readings = one("SELECT max(last_reading), sum(readings) FROM sensors")
    windows_scored, newest_window = one("SELECT count(*), max(window_start) FROM windows WHERE scored IS NOT NULL")
    return StoreStatus(
        readings=readings or 0,
        rejected=one("SELECT count(*) FROM rejected_messages")[0],
        sensors=len(devices(sensor for (sensor,) in connection.execute("SELECT sensor FROM sensors").fetchall())),
        newest_reading=newest_reading,
        before_first_window=readings_before(connection, choices.first_window),
        first_window=choices.first_window,
        windows_scored=windows_scored,
        newest_window=newest_window,
        verdicts=_counts(connection, "SELECT verdict, count(*) FROM regional_windows GROUP BY ALL ORDER BY 1"),
        alerts=_counts(connection, "SELECT status, count(*) FROM slack_alerts GROUP BY ALL ORDER BY 1"),
        deliveries=_deliveries(connection),
        untold=untold_alerts(connection, utc_now(), recent),
        unscored=(
            unscored_readings(connection, WindowRange(choices.first_window, ended))
            if choices.first_window <= ended
            else None
        ),
        outdated=outdated_scores(connection, choices.first_window, choices.parameters.hash()),
        outdated_health=all_outdated_health(connection, choices.first_window, regions),
        outdated_verdicts=outdated_verdicts(connection, choices.first_window, selection, verdicts),
        misplaced=misplaced_sensors(connection, regions),
    )


def _counts(connection: DuckDBPyConnection, query: str) -> dict[str, int]:
    return dict(connection.execute(query).fetchall())


def _deliveries(connection: DuckDBPyConnection) -> dict[str, dict[str, int]]:
    counted: dict[str, dict[str, int]] = {}
    for channel, status, number in connection.execute(_DELIVERIES).fetchall():
        counted.setdefault(channel, {})[status] = number
    return counted


def partition_status(connection: DuckDBPyConnection, reader: TopicReader) -> tuple[list[PartitionStatus], str | None]:
    """Progress and lag of each Kafka partition, and the error that leaves the lag unknown, if there was one."""
    rows = connection.execute(_OFFSETS).fetchall()
    ends: dict[int, int] = {}
    trouble = None
    try:
        topic = reader.describe()
        topic_generation(connection, topic)
        with reader.consumer() as consumer:
            unread = set(topic.partitions) - {partition for partition, _, _ in rows}
            rows += [(partition, first, None) for partition, first in reader.first_offsets(consumer, unread).items()]
            ends = reader.log_ends(consumer, {partition: offset for partition, offset, _ in rows})
    except KafkaError as error:
        trouble = str(error)
    return [
        PartitionStatus(partition, offset, ends[partition] - offset if partition in ends else None, updated_at)
        for partition, offset, updated_at in sorted(rows)
    ], trouble
