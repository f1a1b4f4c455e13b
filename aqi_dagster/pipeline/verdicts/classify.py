"""Classifying windows: anomalies gathered by region, judged, and queued for Slack where that is news."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from itertools import chain

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.regions.base import Regions
from aqi_dagster.pipeline.store.sql import Writer, transaction
from aqi_dagster.pipeline.store.window_ledger import record_verdicts
from aqi_dagster.pipeline.verdicts.neighbours import find_neighbours
from aqi_dagster.pipeline.verdicts.notebook_rules import NotebookRules
from aqi_dagster.pipeline.verdicts.outbox import queue_alerts
from aqi_dagster.pipeline.verdicts.regional_window import (
    Anomaly,
    Evidence,
    RegionalWindow,
    Rules,
    overwrite_regional_windows,
)
from aqi_dagster.windows import WindowRange, utc_now

NOTEBOOK_RULES = NotebookRules()

_ANOMALIES = """
SELECT window_start, sensor, created_at, anomalies.pm25_cf1, pm25_corrected
FROM anomalies
LEFT JOIN (
    FROM corrected_readings WHERE NOT repeated AND window_start BETWEEN $first AND $last
) AS stored USING (window_start, sensor, created_at)
WHERE window_start BETWEEN $first AND $last
"""


def classify_windows(
    writer: Writer, windows: WindowRange, regions: Regions, rules: Rules = NOTEBOOK_RULES
) -> dict[datetime, list[RegionalWindow]]:
    """Overwrite the regional windows of ``windows`` and return them by window (start).

    All of it is one transaction, together with the alerts that the verdicts call for: so a verdict is never stored
    without its alert.
    """
    anomalies = _anomalies(writer, windows)
    judged = {start: judge_regions(start, anomalies[start], regions, rules) for start in windows}
    judged = _with_neighbours(writer, judged, regions)
    with transaction(writer):
        overwrite_regional_windows(writer, windows, chain.from_iterable(judged.values()))
        record_verdicts(writer, windows)
        queue_alerts(writer, windows, utc_now())
    return judged


def judge_regions(
    window_start: datetime, anomalies: Iterable[Anomaly], regions: Regions, rules: Rules = NOTEBOOK_RULES
) -> list[RegionalWindow]:
    """The regional windows that follow from the ``anomalies`` of one window, in order of region name."""
    by_region = defaultdict(list)
    for anomaly in anomalies:
        by_region[regions.region_of(anomaly.sensor)].append(anomaly)
    judged = (rules.judge(Evidence(region, window_start, members)) for region, members in sorted(by_region.items()))
    return [window for window in judged if window is not None]


def _with_neighbours(
    connection: DuckDBPyConnection, judged: dict[datetime, list[RegionalWindow]], regions: Regions
) -> dict[datetime, list[RegionalWindow]]:
    """The same regional windows, each with what its region's other sensors read: page and message show the same."""
    found = find_neighbours(connection, [*chain.from_iterable(judged.values())], regions)
    return {
        start: [
            replace(
                window,
                others_pm25=[*found[window.region, start].others],
                implausible=[*found[window.region, start].implausible],
            )
            for window in regional
        ]
        for start, regional in judged.items()
    }


def _anomalies(connection: DuckDBPyConnection, windows: WindowRange) -> dict[datetime, list[Anomaly]]:
    anomalies = defaultdict(list)
    for start, *anomaly in connection.execute(_ANOMALIES, windows.bounds).fetchall():
        anomalies[start].append(Anomaly(*anomaly))
    return anomalies
