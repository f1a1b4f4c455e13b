"""Kafka to DuckDB: one row per accepted message."""

import dagster as dg

from aqi_dagster.assets.checks import EVERY_MESSAGE_ACCOUNTED_FOR, every_message_accounted_for
from aqi_dagster.assets.failures import log_cause
from aqi_dagster.assets.sensor_data import sensor_data
from aqi_dagster.partitions import ALL_AT_ONCE, WINDOWS, requested_windows
from aqi_dagster.resources.kafka import KafkaResource
from aqi_dagster.resources.warehouse import WarehouseResource
from aqi_dagster.windows import window_key


@dg.asset(
    deps=[sensor_data],
    partitions_def=WINDOWS,
    backfill_policy=ALL_AT_ONCE,
    group_name="air_quality",
    kinds={"kafka", "duckdb"},
    pool="duckdb",
    hooks={log_cause},
    metadata={"dagster/table_name": "readings"},
    check_specs=[EVERY_MESSAGE_ACCOUNTED_FOR],
)
def readings(
    context: dg.AssetExecutionContext, kafka: KafkaResource, warehouse: WarehouseResource
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """PM2.5 readings in ug/m3, one row per accepted message of the topic.

    A run pulls everything that the topic holds beyond the stored offsets, whatever window it belongs to; each reading
    is stored under the 12-hour window of its `created_at`. Messages that are no readings go to `rejected_messages`.
    """
    with warehouse.exclusive() as connection:
        report = kafka.pull(connection)
        context.log.info(
            "Pulled %d readings (%d of them repeated) and rejected %d messages",
            report.accepted,
            report.repeated,
            report.rejected,
        )
        counts = dict(connection.execute("SELECT window_start, readings FROM windows").fetchall())
        accounted_for = every_message_accounted_for(connection)
    for start in requested_windows(context):
        context.add_asset_metadata(
            {"dagster/partition_row_count": counts.get(start, 0)}, partition_key=window_key(start)
        )
    return dg.MaterializeResult(
        metadata={
            "pulled_readings": report.accepted,
            "repeated_readings": report.repeated,
            "rejected_messages": report.rejected,
            "next_offsets": {str(partition): offset for partition, offset in sorted(report.next_offsets.items())},
        },
        check_results=[accounted_for],
    )
