"""The job inside Dagster, in this process, on a topic that holds the first days of the synthetic summer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb

from aqi_dagster.assets.anomalies import anomalies
from aqi_dagster.assets.readings import readings
from aqi_dagster.assets.regional_windows import regional_windows
from aqi_dagster.assets.scored_readings import scored_readings
from aqi_dagster.assets.sensor_health import sensor_health
from aqi_dagster.partitions import FIRST_WINDOW, range_tags
from aqi_dagster.resources.detectors import DetectorResource, ThresholdsResource
from aqi_dagster.resources.kafka import KafkaResource
from aqi_dagster.resources.regions import RegionsResource
from aqi_dagster.resources.rules import RulesResource
from aqi_dagster.resources.warehouse import WarehouseResource
from aqi_dagster.windows import WINDOW_LENGTH, window_key
from tests.support.summer_file import DAYS
from tests.support.tables import rows
from tests.support.topics import Topic
from tests.support.waiting import LIMIT_SECONDS

ASSETS = [readings, sensor_health, scored_readings, anomalies, regional_windows]

KEYS = [window_key(FIRST_WINDOW + number * WINDOW_LENGTH) for number in range(2 * DAYS)]


TABLES = ["scored_readings", "detector_states", "anomalies", "regional_windows", "windows"]


def run(
    topic: Topic,
    data_dir: Path,
    first: str,
    last: str,
    instance: dg.DagsterInstance,
    must_succeed: bool = True,
    kafka_timeout: float = LIMIT_SECONDS,
) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        ASSETS,
        resources=_resources(topic, data_dir, kafka_timeout),
        instance=instance,
        tags=range_tags(first, last),
        raise_on_error=must_succeed,
    )


def run_partition(topic: Topic, data_dir: Path, key: str, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """Materialize one window by its partition key, which may fail."""
    return dg.materialize(
        ASSETS,
        resources=_resources(topic, data_dir, LIMIT_SECONDS),
        instance=instance,
        partition_key=key,
        raise_on_error=False,
    )


def _resources(topic: Topic, data_dir: Path, kafka_timeout: float) -> dict[str, Any]:
    return {
        "kafka": KafkaResource(bootstrap_servers=topic.servers, topic=topic.name, timeout_seconds=kafka_timeout),
        "warehouse": WarehouseResource(data_dir=str(data_dir), lock_timeout_seconds=LIMIT_SECONDS),
        "detector": DetectorResource(),
        "thresholds": ThresholdsResource(),
        "regions": RegionsResource(name="Lake Tahoe"),
        "rules": RulesResource(),
    }


def published(data_dir: Path, tables: Sequence[str] = TABLES) -> dict[str, list[tuple[Any, ...]]]:
    with duckdb.connect(str(data_dir / "aqi.duckdb"), read_only=True) as connection:
        return {table: rows(connection, f"SELECT * FROM {table} ORDER BY ALL") for table in tables}
