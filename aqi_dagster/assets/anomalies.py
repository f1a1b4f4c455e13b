"""The anomalies: scored readings above both thresholds."""

import dagster as dg

from aqi_dagster.assets.failures import log_cause
from aqi_dagster.assets.pages import GROUP, Stages, describe_windows, table_metadata
from aqi_dagster.assets.scored_readings import scored_readings
from aqi_dagster.partitions import ALL_AT_ONCE, WINDOWS, requested_windows
from aqi_dagster.pipeline.detection.anomalies import select_anomalies
from aqi_dagster.pipeline.reporting.window_numbers import anomaly_numbers
from aqi_dagster.resources.detectors import ThresholdsResource
from aqi_dagster.resources.warehouse import WarehouseResource


@dg.asset(
    deps=[scored_readings],
    partitions_def=WINDOWS,
    backfill_policy=ALL_AT_ONCE,
    group_name=GROUP,
    kinds={"duckdb"},
    pool="duckdb",
    hooks={log_cause},
    metadata=table_metadata("anomalies"),
)
def anomalies(
    context: dg.AssetExecutionContext, thresholds: ThresholdsResource, warehouse: WarehouseResource
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Scored readings above both thresholds: score (0 to 1) and PM2.5 (ug/m3)."""
    limits = thresholds.thresholds
    windows = requested_windows(context)
    stages = Stages()
    with warehouse.exclusive() as writer:
        with stages.stage("select"):
            counts = select_anomalies(writer, windows, limits)
        numbers = anomaly_numbers(writer, windows)
    describe_windows(
        context,
        {
            start: {"dagster/partition_row_count": count, "sensors": 0, **numbers.get(start, {})}
            for start, count in counts.items()
        },
        of_run=stages.metadata,
    )
    context.log.info("Found %d anomalies in %d of %d windows", sum(counts.values()), len(numbers), len(windows))
    return dg.MaterializeResult(metadata={"score_threshold": limits.score, "pm25_threshold": limits.pm25})
