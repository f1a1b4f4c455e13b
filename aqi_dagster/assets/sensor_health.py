"""What each sensor read in a window, and whether to believe it."""

from datetime import datetime
from functools import partial
from typing import Any

import dagster as dg

from aqi_dagster.assets.failures import log_cause
from aqi_dagster.assets.pages import GROUP, Stages, describe_windows, table_metadata
from aqi_dagster.assets.pictures import attempt, picture
from aqi_dagster.assets.readings import readings
from aqi_dagster.assets.sensor_checks import (
    HEALTH_UP_TO_DATE,
    VALUES_PLAUSIBLE,
    health_up_to_date,
    values_plausible,
)
from aqi_dagster.partitions import ALL_AT_ONCE, FIRST_WINDOW, WINDOWS, requested_windows
from aqi_dagster.pipeline.health.judge_windows import judge_windows
from aqi_dagster.pipeline.health.sensors_to_judge import regions_hash, sensors_to_judge
from aqi_dagster.pipeline.reporting.health_plot import health_history, plot_health
from aqi_dagster.pipeline.reporting.window_numbers import Numbers, health_numbers
from aqi_dagster.progress import Lines
from aqi_dagster.resources.regions import RegionsResource
from aqi_dagster.resources.rules import RulesResource
from aqi_dagster.resources.warehouse import WarehouseResource
from aqi_dagster.windows import WindowRange

PLOT = "the health of sensors"


@dg.asset(
    deps=[readings],
    partitions_def=WINDOWS,
    backfill_policy=ALL_AT_ONCE,
    group_name=GROUP,
    kinds={"python", "duckdb"},
    pool="duckdb",
    hooks={log_cause},
    metadata=table_metadata("sensor_health"),
    check_specs=[HEALTH_UP_TO_DATE, VALUES_PLAUSIBLE],
)
def sensor_health(
    context: dg.AssetExecutionContext, regions: RegionsResource, rules: RulesResource, warehouse: WarehouseResource
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Each sensor's means in each 12-hour window, and what is the matter with it, whatever rules reach the verdicts.

    A sensor has a fault if its lasers disagree, if it reads the impossible or the very same, if it is dead, or far from
    its healthy neighbours. One that is new, was broken lately or has long been unlike its neighbours has no vote.
    """
    windows = requested_windows(context)
    stages, progress = Stages(), Lines(context.log.info)
    with stages.stage("regions"):
        regions.look_up(warehouse.store, windows, rules.rules.judges_all_sensors, progress)
    with warehouse.exclusive() as writer:
        known = regions.choice.regions(writer)
        with stages.stage("judge"):
            sensors, settings = sensors_to_judge(writer, known), regions_hash(known)
            judge_windows(writer, windows, FIRST_WINDOW, sensors, settings, progress)
        with stages.stage("check"):
            numbers = health_numbers(writer, windows)
            checks = [health_up_to_date(writer, known), values_plausible(writer, windows.last)]
        history = attempt(context, PLOT, partial(health_history, writer, windows.last))
    with stages.stage("plot"):
        shown = picture(context, PLOT, "Health of sensors over time, a row a sensor", history, plot_health)
    of_run = stages.metadata if shown is None else {"plot": shown, **stages.metadata}
    describe_windows(context, _describe(context, windows, numbers), of_run=of_run)
    return dg.MaterializeResult(check_results=checks)


def _describe(
    context: dg.AssetExecutionContext, windows: WindowRange, numbers: Numbers
) -> dict[datetime, dict[str, Any]]:
    """Log how many sensors have a fault; returns the metadata of each window (start)."""
    context.log.info(
        "Judged %d sensors in %d windows, %d of them with a fault",
        sum(found.get("dagster/partition_row_count", 0) for found in numbers.values()),
        len(windows),
        sum(found.get("with_fault", 0) for found in numbers.values()),
    )
    return {start: {"dagster/partition_row_count": 0, **numbers.get(start, {})} for start in windows}
