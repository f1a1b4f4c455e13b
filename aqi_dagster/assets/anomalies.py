"""The scored readings that stand out."""

import dagster as dg

from aqi_dagster.assets.failures import log_cause
from aqi_dagster.assets.scored_readings import scored_readings
from aqi_dagster.partitions import ALL_AT_ONCE, WINDOWS, requested_windows
from aqi_dagster.pipeline.anomalies import select_anomalies
from aqi_dagster.resources.detectors import ThresholdsResource
from aqi_dagster.resources.warehouse import WarehouseResource
from aqi_dagster.windows import window_key


@dg.asset(
    deps=[scored_readings],
    partitions_def=WINDOWS,
    backfill_policy=ALL_AT_ONCE,
    group_name="air_quality",
    kinds={"duckdb"},
    pool="duckdb",
    hooks={log_cause},
    metadata={"dagster/table_name": "anomalies"},
)
def anomalies(
    context: dg.AssetExecutionContext, thresholds: ThresholdsResource, warehouse: WarehouseResource
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Scored readings above both thresholds: score (0 to 1) and PM2.5 (ug/m3)."""
    limits = thresholds.thresholds
    windows = requested_windows(context)
    with warehouse.exclusive() as connection:
        counts = select_anomalies(connection, windows, limits)
    for start, count in counts.items():
        context.add_asset_metadata({"dagster/partition_row_count": count}, partition_key=window_key(start))
    context.log.info("Found %d anomalies in %d windows", sum(counts.values()), len(windows))
    return dg.MaterializeResult(metadata={"score_threshold": limits.score, "pm25_threshold": limits.pm25})
