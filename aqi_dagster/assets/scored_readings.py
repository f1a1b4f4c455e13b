"""An anomaly score for every reading, by the detector of its sensor."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import dagster as dg

from aqi_dagster.assets.checks import SCORES_UP_TO_DATE, scores_up_to_date
from aqi_dagster.assets.failures import log_cause
from aqi_dagster.assets.pages import GROUP, NEWEST_SHOWN, Stages, describe_windows, table_metadata
from aqi_dagster.assets.pictures import attempt, picture
from aqi_dagster.assets.readings import readings
from aqi_dagster.partitions import ALL_AT_ONCE, FIRST_WINDOW, WINDOWS, requested_windows
from aqi_dagster.pipeline.detection.anomalies import Thresholds
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.detection.progress import ScoredWindow
from aqi_dagster.pipeline.detection.retention import thin_states
from aqi_dagster.pipeline.detection.scoring import score_windows
from aqi_dagster.pipeline.reporting.plots import (
    plot_scores,
)
from aqi_dagster.pipeline.reporting.series import (
    Series,
    scored_series,
)
from aqi_dagster.pipeline.reporting.window_numbers import Numbers, score_numbers
from aqi_dagster.progress import Lines, watched
from aqi_dagster.resources.detectors import DetectorResource, ThresholdsResource
from aqi_dagster.resources.warehouse import WarehouseResource
from aqi_dagster.windows import WindowRange, window_key

WINDOWS_AT_ONCE = 60
"""Windows that are scored before others may have the store: a month, which is a matter of seconds."""

PAUSE_SECONDS = 0.2
"""Time in which whoever waits for the lock notices that it is free: several of its attempts."""


@dg.asset(
    deps=[
        readings,
        dg.AssetDep("scored_readings", partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)),
    ],
    partitions_def=WINDOWS,
    backfill_policy=ALL_AT_ONCE,
    group_name=GROUP,
    kinds={"python", "duckdb"},
    pool="duckdb",
    hooks={log_cause},
    metadata=table_metadata("scored_readings"),
    check_specs=[SCORES_UP_TO_DATE],
)
def scored_readings(
    context: dg.AssetExecutionContext,
    detector: DetectorResource,
    thresholds: ThresholdsResource,
    warehouse: WarehouseResource,
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Readings with their anomaly score: 0 is normal, 1 is anomalous.

    River's HalfSpaceTrees of each sensor scores a reading and then learns it, in order of `created_at`. The states it
    leaves behind are kept in `detector_states`, pickled per sensor and window; the next window starts from them.
    """
    windows = requested_windows(context)
    limits = thresholds.thresholds
    stages = Stages()
    with stages.stage("score"):
        scored = _score(warehouse, windows, detector.parameters)
        scored_windows = [*watched(scored, "windows scored", len(windows), Lines(context.log.info))]
    with warehouse.exclusive() as writer:
        dropped = thin_states(writer, windows.first, detector.states_kept)
        with stages.stage("check"):
            numbers = score_numbers(writer, windows, limits)
            score_check = scores_up_to_date(writer, detector.parameters)
        to_plot = [start for start in windows if numbers.get(start, {}).get("above_thresholds")][-NEWEST_SHOWN:]
        series = {
            start: attempt(context, window_key(start), partial(scored_series, writer, start, limits))
            for start in to_plot
        }
    of_windows = _describe_scores(context, scored_windows, numbers, dropped)
    with stages.stage("plot"):
        for start, series_of_window in series.items():
            of_windows[start] |= _plot(context, start, series_of_window, limits)
    describe_windows(context, of_windows, of_run=stages.metadata)
    return dg.MaterializeResult(check_results=[score_check])


def _score(
    warehouse: WarehouseResource, windows: WindowRange, parameters: DetectorParameters
) -> Iterator[ScoredWindow]:
    """Score part by part, and leave the store to others in between: a look at the open window may wait for it."""
    for part in windows.parts(WINDOWS_AT_ONCE):
        with warehouse.exclusive() as writer:
            yield from score_windows(writer, part, FIRST_WINDOW, parameters)
        if part.last < windows.last:
            time.sleep(PAUSE_SECONDS)


def _describe_scores(
    context: dg.AssetExecutionContext, windows: Sequence[ScoredWindow], numbers: Numbers, dropped: int
) -> dict[datetime, dict[str, Any]]:
    """Log the numbers of the run; returns the metadata of each window (start)."""
    context.log.info(
        "Scored %d readings of %d windows, %d of them for the first time; dropped %d old states",
        sum(window.readings for window in windows),
        len(windows),
        sum(window.newly_scored for window in windows),
        dropped,
    )
    return {
        window.start: {
            "dagster/partition_row_count": window.readings,
            "newly_scored": window.newly_scored,
            "sensors": window.sensors,
            **numbers.get(window.start, {}),
        }
        for window in windows
    }


def _plot(
    context: dg.AssetExecutionContext, start: datetime, series: Sequence[Series] | None, limits: Thresholds
) -> dict[str, dg.MarkdownMetadataValue]:
    plot = picture(
        context, window_key(start), "Scores and PM2.5", series, partial(plot_scores, start, thresholds=limits)
    )
    return {} if plot is None else {"plot": plot}
