"""Smoke or a malfunctioning sensor, by region and window."""

import dagster as dg

from aqi_dagster.assets.anomalies import anomalies
from aqi_dagster.assets.failures import log_cause
from aqi_dagster.partitions import ALL_AT_ONCE, WINDOWS, requested_windows
from aqi_dagster.pipeline.classifying import classify_windows
from aqi_dagster.resources.regions import RegionsResource
from aqi_dagster.resources.warehouse import WarehouseResource
from aqi_dagster.windows import window_key


@dg.asset(
    deps=[anomalies],
    partitions_def=WINDOWS,
    backfill_policy=ALL_AT_ONCE,
    group_name="air_quality",
    kinds={"python", "duckdb"},
    pool="duckdb",
    hooks={log_cause},
    metadata={"dagster/table_name": "regional_windows"},
)
def regional_windows(
    context: dg.AssetExecutionContext, regions: RegionsResource, warehouse: WarehouseResource
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Anomalies gathered by region and 12-hour window, each with its verdict.

    Two sensors or more: smoke. One sensor with fewer than 10 anomalies: malfunction. One sensor with 10 or more:
    malfunction if the coefficient of variation of its PM2.5 exceeds 0.3, else smoke. A verdict that is new or changed
    is queued for Slack. EPA's index of the worst reading says how bad it is. The published copy `aqi.duckdb` is
    replaced at the end.
    """
    windows = requested_windows(context)
    with warehouse.exclusive() as connection:
        classified = classify_windows(connection, windows, regions.regions(connection))
    for start, found in classified.items():
        verdicts = {"smoke": 0, "malfunction": 0}
        for window in found:
            verdicts[window.verdict] += 1
            context.log.info(
                "%s in %s, window %s: %d sensors, %d anomalies, up to %.0f ug/m3",
                window.verdict,
                window.region,
                window_key(start),
                window.count_sensors,
                window.count_anomalies,
                window.max_pm25,
            )
        context.add_asset_metadata(
            {"dagster/partition_row_count": len(found), **verdicts}, partition_key=window_key(start)
        )
    warehouse.store.publish()
    return dg.MaterializeResult(metadata={"published_copy": dg.MetadataValue.path(str(warehouse.store.published))})
