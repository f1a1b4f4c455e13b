"""An anomaly score for every reading, by the detector of its sensor."""

import dagster as dg

from aqi_dagster.assets.checks import SCORES_UP_TO_DATE, scores_up_to_date
from aqi_dagster.assets.failures import log_cause
from aqi_dagster.assets.readings import readings
from aqi_dagster.partitions import ALL_AT_ONCE, FIRST_WINDOW, WINDOWS, requested_windows
from aqi_dagster.pipeline.retention import thin_states
from aqi_dagster.pipeline.scoring import score_windows
from aqi_dagster.resources.detectors import DetectorResource
from aqi_dagster.resources.warehouse import WarehouseResource
from aqi_dagster.windows import window_key


@dg.asset(
    deps=[
        readings,
        dg.AssetDep("scored_readings", partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)),
    ],
    partitions_def=WINDOWS,
    backfill_policy=ALL_AT_ONCE,
    group_name="air_quality",
    kinds={"python", "duckdb"},
    pool="duckdb",
    hooks={log_cause},
    metadata={"dagster/table_name": "scored_readings"},
    check_specs=[SCORES_UP_TO_DATE],
)
def scored_readings(
    context: dg.AssetExecutionContext, detector: DetectorResource, warehouse: WarehouseResource
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Readings with their anomaly score: 0 is normal, 1 is anomalous.

    River's HalfSpaceTrees of each sensor scores a reading and then learns it, in order of `created_at`. The states it
    leaves behind are kept in `detector_states`, pickled per sensor and window; the next window starts from them.
    """
    total = 0
    windows = requested_windows(context)
    with warehouse.exclusive() as connection:
        for window in score_windows(connection, windows, FIRST_WINDOW, detector.parameters):
            total += window.readings
            context.add_asset_metadata(
                {
                    "dagster/partition_row_count": window.readings,
                    "newly_scored": window.newly_scored,
                    "sensors": window.sensors,
                },
                partition_key=window_key(window.start),
            )
        dropped = thin_states(connection, windows[0], detector.states_kept)
        up_to_date = scores_up_to_date(connection)
    context.log.info("Scored %d readings of %d windows; dropped %d old states", total, len(windows), dropped)
    return dg.MaterializeResult(check_results=[up_to_date])
