"""Smoke or a malfunctioning sensor, by region and window."""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from typing import Any

import dagster as dg

from aqi_dagster.assets.anomalies import anomalies
from aqi_dagster.assets.checks import COPY_EQUALS_STORE, VERDICTS_UP_TO_DATE, copy_equals_store, verdicts_up_to_date
from aqi_dagster.assets.failures import log_cause
from aqi_dagster.assets.pages import GROUP, NEWEST_SHOWN, Stages, describe_windows, table_metadata
from aqi_dagster.assets.pictures import attempted, picture
from aqi_dagster.partitions import ALL_AT_ONCE, WINDOWS, requested_windows
from aqi_dagster.pipeline.alerts.wording import story
from aqi_dagster.pipeline.reporting.plots import plot_region, region_series
from aqi_dagster.pipeline.reporting.window_numbers import alert_numbers
from aqi_dagster.pipeline.store.comparing import differences
from aqi_dagster.pipeline.verdicts.aqi import category
from aqi_dagster.pipeline.verdicts.classify import classify_windows
from aqi_dagster.pipeline.verdicts.neighbours import find_neighbours
from aqi_dagster.pipeline.verdicts.notebook_rules import RegionalWindow
from aqi_dagster.resources.detectors import ThresholdsResource
from aqi_dagster.resources.regions import RegionsResource
from aqi_dagster.resources.warehouse import WarehouseResource
from aqi_dagster.windows import window_key

FRESH = dg.FreshnessPolicy.cron(deadline_cron="0 1,13 * * *", lower_bound_delta=timedelta(hours=1))
"""An hour after a window ended, UTC, something must have been classified since; the schedule runs after ten minutes."""


@dg.asset(
    deps=[anomalies],
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
    thresholds: ThresholdsResource,
    warehouse: WarehouseResource,
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Anomalies gathered by region and 12-hour window, each with its verdict.

    Two sensors or more: smoke. One sensor with fewer than 10 anomalies: malfunction. One sensor with 10 or more:
    malfunction if the coefficient of variation of its PM2.5 exceeds 0.3, else smoke. A verdict that is new or changed
    is queued for Slack. EPA's index of the worst reading says how bad it is. The published copy `aqi.duckdb` is
    replaced at the end.
    """
    windows = requested_windows(context)
    limits = thresholds.thresholds
    stages = Stages()
    with stages.stage("regions"):
        regions.look_up(warehouse.store, windows)
    with warehouse.exclusive() as connection:
        known = regions.regions(connection)
        with stages.stage("classify"):
            classified = classify_windows(connection, windows, known)
        up_to_date = verdicts_up_to_date(connection)
        alerts = alert_numbers(connection, windows)
    found = list(chain.from_iterable(classified.values()))
    newest = found[-NEWEST_SHOWN:]
    with ExitStack() as opened:
        with stages.stage("publish"):
            store, copy = opened.enter_context(warehouse.store.publish_and_open())
            compared = copy_equals_store(differences(store, copy, windows))
        # Only now, because nobody who waits for the data needs it.
        surroundings = [
            find_neighbours(store, window.region, window.window_start, window.sensors, known) for window in newest
        ]
        series = [
            attempted(context, _label(window), partial(region_series, store, window, known, limits))
            for window in newest
        ]
    others = [None] * (len(found) - len(newest)) + surroundings
    stories = [story(window, neighbours) for window, neighbours in zip(found, others, strict=True)]
    of_windows: dict[datetime, dict[str, Any]] = {start: {} for start in windows}
    for window, told in zip(found, stories, strict=True):
        of_windows[window.window_start][f"verdict: {window.region}"] = told
    with stages.stage("plot"):
        for window, shown in zip(newest, series, strict=True):
            draw = partial(plot_region, window, thresholds=limits)
            plot = picture(context, _label(window), f"PM2.5 in {window.region}", shown, draw)
            if plot is not None:
                of_windows[window.window_start][f"plot: {window.region}"] = plot
    for start in windows:
        of_windows[start] |= _numbers(classified[start]) | alerts.get(start, {})
    published = dg.MetadataValue.path(str(warehouse.store.published))
    describe_windows(context, of_windows, of_run={"published_copy": published, **stages.metadata})
    verdicts = Counter(window.verdict for window in found)
    context.log.info(
        "Classified %d windows: %d of smoke, %d of a malfunction; %d alerts to send",
        len(windows),
        verdicts["smoke"],
        verdicts["malfunction"],
        sum(metadata["alerts_to_send"] for metadata in of_windows.values()),
    )
    for window, told in zip(newest, stories[-NEWEST_SHOWN:], strict=True):
        context.log.info("%s: %s", _label(window), told)
    return dg.MaterializeResult(check_results=[up_to_date, compared])


def _label(window: RegionalWindow) -> str:
    return f"{window.region}, window {window_key(window.window_start)}"


def _numbers(found: Sequence[RegionalWindow]) -> dict[str, Any]:
    """The numbers of one window, whose regional windows are ``found``."""
    verdicts = Counter(window.verdict for window in found)
    # What a broken sensor reads is not the air.
    indices = [window.aqi_of_max for window in found if window.verdict == "smoke" and window.aqi_of_max is not None]
    return {
        "dagster/partition_row_count": len(found),
        "smoke": verdicts["smoke"],
        "malfunction": verdicts["malfunction"],
        "anomalies": sum(window.count_anomalies for window in found),
        "alerts_to_send": 0,
        "alerts_sent_before": 0,
        **({"max_pm25": max(window.max_pm25 for window in found)} if found else {}),
        **({"aqi_of_smoke": max(indices), "aqi_category": category(max(indices)).name} if indices else {}),
    }
