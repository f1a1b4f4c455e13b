"""What a region's other sensors read while some were anomalous: how far it reaches, and whether to believe it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

import pyarrow as pa
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.health.health_table import SensorHealth
from aqi_dagster.pipeline.store.sql import registered
from aqi_dagster.pipeline.verdicts.regional_window import RegionalWindow
from aqi_dagster.sensors import devices

MARGIN = timedelta(minutes=30)
"""Time before the first and after the last anomaly in which the others are looked at, too: one may be all there is."""

_JUDGED = pa.schema([("region", pa.string()), ("window_start", pa.timestamp("us")), ("sensors", pa.list_(pa.string()))])

_MEDIANS = """
WITH spans AS (
    SELECT
        region,
        judged.window_start,
        any_value(sensors) AS anomalous,
        min(created_at) - $margin AS begins,
        max(created_at) + $margin AS ends
    FROM judged
    JOIN anomalies ON anomalies.window_start = judged.window_start AND list_contains(sensors, sensor)
    WHERE anomalies.window_start BETWEEN $first AND $last
    GROUP BY region, judged.window_start
)
SELECT region, spans.window_start, sensor, median(pm25_cf1)
FROM scored_readings
JOIN spans ON scored_readings.window_start = spans.window_start AND created_at BETWEEN begins AND ends
WHERE scored_readings.window_start BETWEEN $first AND $last AND NOT list_contains(anomalous, sensor)
GROUP BY region, spans.window_start, sensor
"""

Place = tuple[str, datetime]
"""A region and the start of a window."""


@dataclass(frozen=True)
class Neighbours:
    """The sensors of a region and what they read from the first to the last anomaly of a window.

    ``others_pm25`` holds the median PM2.5 (CF=1, ug/m3) of each sensor without an anomaly and without a fault, in
    ascending order. ``implausible`` names those with a fault, be they anomalous or not, each with what is the matter.
    """

    others_pm25: list[float]
    implausible: list[str]


def find_neighbours(
    connection: DuckDBPyConnection,
    judged: Sequence[RegionalWindow],
    health: Mapping[datetime, Sequence[SensorHealth]],
) -> dict[Place, Neighbours]:
    """The neighbours of the anomalous sensors of each regional window, by the ``health`` in its window (start).

    A sensor whose region is not known is left out.
    """
    if not judged:
        return {}
    medians = _medians(connection, judged)
    return {
        (window.region, window.window_start): _neighbours(
            window, health[window.window_start], medians[window.region, window.window_start]
        )
        for window in judged
    }


def _neighbours(window: RegionalWindow, health: Sequence[SensorHealth], medians: Mapping[str, float]) -> Neighbours:
    here = [row for row in health if row.region == window.region]
    faulty = [f"{row.sensor}: {row.reason}" for row in here if row.fault is not None]
    aside = {*window.sensors, *(row.sensor for row in here if row.fault is not None)}
    known = {*aside, *(row.sensor for row in here if row.sensor in medians)}
    others = [
        median(medians[sensor] for sensor in texts) for texts in devices(sorted(known)) if aside.isdisjoint(texts)
    ]
    return Neighbours(sorted(others), faulty)


def _medians(connection: DuckDBPyConnection, judged: Sequence[RegionalWindow]) -> Mapping[Place, Mapping[str, float]]:
    """Median PM2.5 of each sensor without an anomaly of the region, while those of the region were anomalous."""
    rows = [{"region": one.region, "window_start": one.window_start, "sensors": one.sensors} for one in judged]
    starts = [one.window_start for one in judged]
    medians: dict[Place, dict[str, float]] = defaultdict(dict)
    parameters = {"margin": MARGIN, "first": min(starts), "last": max(starts)}
    with registered(connection, "judged", pa.Table.from_pylist(rows, _JUDGED)):
        for region, start, sensor, pm25 in connection.execute(_MEDIANS, parameters).fetchall():
            medians[region, start][sensor] = pm25
    return medians
