"""What the page of a window shows of its verdicts: the story of each, its numbers, and a plot of the newest."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import dagster as dg
from duckdb import DuckDBPyConnection

from aqi_dagster.assets.pictures import attempt, picture
from aqi_dagster.pipeline.alerts.wording import story
from aqi_dagster.pipeline.aqi import category
from aqi_dagster.pipeline.detection.anomalies import Thresholds
from aqi_dagster.pipeline.regions.base import Regions
from aqi_dagster.pipeline.reporting.plots import (
    plot_region,
)
from aqi_dagster.pipeline.reporting.series import (
    Series,
    region_series,
)
from aqi_dagster.pipeline.reporting.window_numbers import Numbers
from aqi_dagster.pipeline.verdicts.regional_window import RegionalWindow
from aqi_dagster.windows import window_key

Classified = Mapping[datetime, Sequence[RegionalWindow]]
"""Regional windows by window (start)."""


def verdict_metadata(classified: Classified, alerts: Numbers) -> dict[datetime, dict[str, Any]]:
    """The metadata of each window (start): a story for each region, and numbers."""
    return {
        start: {
            **{f"verdict: {window.region}": story(window) for window in found},
            **_numbers(found),
            **alerts.get(start, {}),
        }
        for start, found in classified.items()
    }


def series_to_plot(
    context: dg.AssetExecutionContext,
    connection: DuckDBPyConnection,
    windows: Sequence[RegionalWindow],
    regions: Regions,
    thresholds: Thresholds,
) -> list[Sequence[Series] | None]:
    """For each of ``windows`` what its plot shows; None, and a warning in the run's log, where that fails."""
    return [
        attempt(context, _label(window), partial(region_series, connection, window, regions, thresholds))
        for window in windows
    ]


def plot_metadata(
    context: dg.AssetExecutionContext,
    windows: Sequence[RegionalWindow],
    series: Sequence[Sequence[Series] | None],
    thresholds: Thresholds,
) -> dict[datetime, dict[str, dg.MarkdownMetadataValue]]:
    """The plots of ``windows``, by window (start); those that cannot be drawn are left out."""
    plots: dict[datetime, dict[str, dg.MarkdownMetadataValue]] = {window.window_start: {} for window in windows}
    for window, shown in zip(windows, series, strict=True):
        draw = partial(plot_region, window, thresholds=thresholds)
        plot = picture(context, _label(window), f"PM2.5 in {window.region}", shown, draw)
        if plot is not None:
            plots[window.window_start][f"plot: {window.region}"] = plot
    return plots


def log_verdicts(context: dg.AssetExecutionContext, classified: Classified, alerts: Numbers, newest: int) -> None:
    """Log how many windows were classified as what, and the stories of the ``newest`` ones."""
    found = [window for regional in classified.values() for window in regional]
    verdicts = Counter(window.verdict for window in found)
    context.log.info(
        "Classified %d windows: %d of smoke, %d of a malfunction; %d alerts to send",
        len(classified),
        verdicts["smoke"],
        verdicts["malfunction"],
        sum(numbers["alerts_to_send"] for numbers in alerts.values()),
    )
    for window in found[-newest:]:
        context.log.info("%s: %s", _label(window), story(window))


def _label(window: RegionalWindow) -> str:
    return f"{window.region}, window {window_key(window.window_start)}"


def _numbers(found: Sequence[RegionalWindow]) -> dict[str, Any]:
    """The numbers of one window, whose regional windows are ``found``."""
    verdicts = Counter(window.verdict for window in found)
    # What a broken sensor reads is not the air.
    indices = [window.aqi_of_max for window in found if window.verdict == "smoke" and window.aqi_of_max is not None]
    highest = [window.max_pm25 for window in found if window.max_pm25 is not None]
    return {
        "dagster/partition_row_count": len(found),
        "smoke": verdicts["smoke"],
        "malfunction": verdicts["malfunction"],
        "anomalies": sum(window.count_anomalies for window in found),
        "alerts_to_send": 0,
        "alerts_sent_before": 0,
        **({"max_pm25": max(highest)} if highest else {}),
        **({"aqi_of_smoke": max(indices), "aqi_category": category(max(indices)).name} if indices else {}),
    }
