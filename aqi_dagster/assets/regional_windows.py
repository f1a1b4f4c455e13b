"""Smoke or a malfunctioning sensor, by region and window."""

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

import dagster as dg

from aqi_dagster.assets.anomalies import anomalies
from aqi_dagster.assets.checks import COPY_EQUALS_STORE, VERDICTS_UP_TO_DATE, copy_equals_store, verdicts_up_to_date
from aqi_dagster.assets.failures import log_cause
from aqi_dagster.assets.pages import GROUP, NEWEST_SHOWN, Stages, credited, describe_windows, table_metadata
from aqi_dagster.assets.sensor_health import sensor_health
from aqi_dagster.assets.window_stories import log_verdicts, plot_metadata, series_to_plot, verdict_metadata
from aqi_dagster.partitions import ALL_AT_ONCE, WINDOWS, requested_windows
from aqi_dagster.pipeline.reporting.window_numbers import alert_numbers
from aqi_dagster.pipeline.store.comparing import differences
from aqi_dagster.pipeline.verdicts.classify_windows import classify_windows
from aqi_dagster.progress import Lines, Progress
from aqi_dagster.resources.detectors import ThresholdsResource
from aqi_dagster.resources.regions import RegionsResource
from aqi_dagster.resources.rules import RulesResource
from aqi_dagster.resources.warehouse import WarehouseResource
from aqi_dagster.windows import WindowRange

FRESH = dg.FreshnessPolicy.cron(deadline_cron="0 1,13 * * *", lower_bound_delta=timedelta(hours=1))
"""An hour after a window ended, UTC, something must have been classified since; the schedule runs after ten minutes."""


@dg.asset(
    deps=[anomalies, sensor_health],
    partitions_def=WINDOWS,
    backfill_policy=ALL_AT_ONCE,
    group_name=GROUP,
    kinds={"python", "duckdb"},
    pool="duckdb",
    hooks={log_cause},
    metadata=table_metadata("regional_windows"),
    check_specs=[VERDICTS_UP_TO_DATE, COPY_EQUALS_STORE],
    freshness_policy=FRESH,
)
def regional_windows(
    context: dg.AssetExecutionContext,
    regions: RegionsResource,
    rules: RulesResource,
    thresholds: ThresholdsResource,
    warehouse: WarehouseResource,
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Smoke, a malfunction, or nothing, by region and 12-hour window.

    With the network rules by the region's healthy sensors. With the notebook rules by its anomalies: those of two
    sensors or more are smoke; of one sensor, a malfunction if they are fewer than 10 or if the coefficient of variation
    of their PM2.5 exceeds 0.3, else smoke. A verdict that is new or changed is queued for Slack. EPA's index says how
    bad it is. The published copy `aqi.duckdb` is replaced at the end.
    """
    windows = requested_windows(context)
    limits = thresholds.thresholds
    stages, progress = Stages(), Lines(context.log.info)
    with stages.stage("regions"):
        _look_up_anomalous(regions, rules, warehouse, windows, progress)
    with warehouse.exclusive() as writer:
        known = regions.choice.regions(writer)
        with stages.stage("classify"):
            classified = classify_windows(writer, windows, known, limits, rules.rules, progress=progress)
        up_to_date = verdicts_up_to_date(writer, limits, known, rules.rules)
        alerts = alert_numbers(writer, windows)
    newest = [*chain.from_iterable(classified.values())][-NEWEST_SHOWN:]
    with ExitStack() as opened:
        with stages.stage("publish"):
            store, copy = opened.enter_context(warehouse.store.publish_and_open())
            compared = copy_equals_store(differences(store, copy, windows))
        # Only now, because nobody who waits for the data needs it.
        series = series_to_plot(context, store, newest, known, limits)
    with stages.stage("plot"):
        plots = plot_metadata(context, newest, series, limits)
    of_windows = credited(_with_plots(verdict_metadata(classified, alerts), plots), warehouse.source)
    published = dg.MetadataValue.path(str(warehouse.store.published))
    describe_windows(context, of_windows, of_run={"published_copy": published, **stages.metadata})
    log_verdicts(context, classified, alerts, NEWEST_SHOWN)
    return dg.MaterializeResult(check_results=[up_to_date, compared])


def _with_plots(
    verdicts: Mapping[datetime, dict[str, Any]], plots: Mapping[datetime, dict[str, Any]]
) -> dict[datetime, dict[str, Any]]:
    """The metadata of each window: its verdicts, and its plots if it has some."""
    return {start: {**metadata, **plots.get(start, {})} for start, metadata in verdicts.items()}


def _look_up_anomalous(
    regions: RegionsResource,
    rules: RulesResource,
    warehouse: WarehouseResource,
    windows: WindowRange,
    progress: Progress,
) -> None:
    """Look up the regions of sensors with anomalies, unless those of all were before their health was judged."""
    if not rules.rules.judges_all_sensors:
        regions.look_up(warehouse.store, windows, progress=progress)
