"""Asset checks: what an operator should look at although every run succeeded."""

import dagster as dg

from aqi_dagster.assets.readings import readings
from aqi_dagster.assets.scored_readings import scored_readings
from aqi_dagster.partitions import FIRST_WINDOW
from aqi_dagster.pipeline.health import outdated_scores, unaccounted_messages
from aqi_dagster.resources.warehouse import WarehouseResource
from aqi_dagster.windows import window_key


@dg.asset_check(asset=readings, pool="duckdb")
def every_message_accounted_for(warehouse: WarehouseResource) -> dg.AssetCheckResult:
    """Each message that was read is exactly one row of `readings` or of `rejected_messages`."""
    with warehouse.inspect() as connection:
        wrong = unaccounted_messages(connection)
    lines = [
        f"partition {partition} (generation {generation}): {read} messages read, {kept} rows kept, "
        f"{offsets} offsets among them"
        for generation, partition, read, kept, offsets in wrong
    ]
    return dg.AssetCheckResult(
        passed=not wrong,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(lines) or "Rows and offsets agree.",
    )


@dg.asset_check(asset=scored_readings, pool="duckdb")
def scores_up_to_date(warehouse: WarehouseResource) -> dg.AssetCheckResult:
    """No readings came after their window was scored, and no window builds on one that was scored anew since."""
    with warehouse.inspect() as connection:
        outdated = outdated_scores(connection, FIRST_WINDOW)
    description = "Every scored window holds all of its readings."
    if outdated.first is not None and outdated.last is not None:
        description = (
            f"{outdated.late_readings} late readings and {outdated.stale_windows} stale windows: materialize "
            f"{window_key(outdated.first)} to {window_key(outdated.last)} in one run to take them in."
        )
    return dg.AssetCheckResult(
        passed=outdated.first is None,
        severity=dg.AssetCheckSeverity.WARN,
        description=description,
        metadata={"late_readings": outdated.late_readings, "stale_windows": outdated.stale_windows},
    )
