"""Kafka to DuckDB: one row per accepted message."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from aqi_dagster.assets.checks import (
    EVERY_MESSAGE_ACCOUNTED_FOR,
    FEW_MESSAGES_REJECTED,
    every_message_accounted_for,
    few_messages_rejected,
)
from aqi_dagster.assets.failures import log_cause
from aqi_dagster.assets.pages import GROUP, Stages, credited, describe_windows, table_metadata
from aqi_dagster.assets.pull_metadata import pull_metadata
from aqi_dagster.assets.sensor_checks import (
    PLACES_SPELLED_ONCE,
    SENSORS_REPORT,
    places_spelled_once,
    sensors_report,
)
from aqi_dagster.assets.sensor_data import sensor_data
from aqi_dagster.partitions import ALL_AT_ONCE, FIRST_WINDOW, WINDOWS, requested_windows
from aqi_dagster.pipeline.readings.accounting import pulled_messages, readings_before
from aqi_dagster.pipeline.readings.pull import PullReport
from aqi_dagster.pipeline.reporting.pull_words import PullNumbers
from aqi_dagster.pipeline.reporting.window_numbers import reading_numbers
from aqi_dagster.progress import Lines
from aqi_dagster.resources.kafka import KafkaResource
from aqi_dagster.resources.warehouse import WarehouseResource
from aqi_dagster.windows import utc_now


@dg.asset(
    deps=[sensor_data],
    partitions_def=WINDOWS,
    backfill_policy=ALL_AT_ONCE,
    group_name=GROUP,
    kinds={"kafka", "duckdb"},
    pool="duckdb",
    hooks={log_cause},
    metadata=table_metadata("readings"),
    check_specs=[EVERY_MESSAGE_ACCOUNTED_FOR, FEW_MESSAGES_REJECTED, SENSORS_REPORT, PLACES_SPELLED_ONCE],
)
def readings(
    context: dg.AssetExecutionContext, kafka: KafkaResource, warehouse: WarehouseResource
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """PM2.5 readings in ug/m3, one row per accepted message of the topic.

    A run pulls everything that the topic holds beyond the stored offsets, whatever window it belongs to; each reading
    is stored under the 12-hour window of its `created_at`. Messages that are no readings go to `rejected_messages`.
    """
    windows = requested_windows(context)
    stages = Stages()
    with warehouse.exclusive() as writer:
        since = utc_now()
        with stages.stage("pull"):
            report = kafka.pull(writer, Lines(context.log.info))
        with stages.stage("check"):
            pulled = pulled_messages(writer, since)
            of_pull = PullNumbers(
                messages=pulled.messages,
                readings=report.accepted,
                repeated=report.repeated,
                rejected=report.rejected,
                retaken=report.retaken.accepted,
                before_first_window=readings_before(writer, FIRST_WINDOW),
                reasons=pulled.rejected,
                emptied=dict(report.emptied.most_common()),
            )
            numbers = reading_numbers(writer, windows, since)
            checks = [
                every_message_accounted_for(writer),
                few_messages_rejected(pulled, kafka.max_rejected_share),
                sensors_report(writer, windows.last),
                places_spelled_once(writer, windows.last),
            ]
    of_windows = credited({start: _describe_window(numbers.get(start, {})) for start in windows}, warehouse.source)
    describe_windows(context, of_windows, of_run=_describe_pull(context, of_pull, report) | stages.metadata)
    return dg.MaterializeResult(check_results=checks)


def _describe_window(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of one window, under Dagster's names."""
    others = {name: number for name, number in numbers.items() if name != "rows"}
    return {"dagster/partition_row_count": numbers.get("rows", 0), **others}


def _describe_pull(context: dg.AssetExecutionContext, numbers: PullNumbers, report: PullReport) -> dict[str, Any]:
    """Log the numbers of a pull; returns them as metadata."""
    context.log.info(
        "Pulled %d messages: %d readings (%d of them repeated) and %d rejected",
        numbers.messages,
        numbers.readings,
        numbers.repeated,
        numbers.rejected,
    )
    offsets = {str(partition): offset for partition, offset in sorted(report.next_offsets.items())}
    return pull_metadata(numbers) | {"next_offsets": offsets}
