"""What a region's other sensors read while some were anomalous: how far it reaches, and whether to believe it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.regions.base import Regions
from aqi_dagster.pipeline.store.sql import registered
from aqi_dagster.pipeline.verdicts.implausible import Implausible, implausible_sensors
from aqi_dagster.pipeline.verdicts.regional_window import RegionalWindow

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

    ``others`` holds the median PM2.5 (CF=1, ug/m3) of each sensor without an anomaly, in ascending order.
    ``implausible`` names the faults of those that were stuck or read the impossible for hours of the window, be they
    anomalous or not; they are not among the others.
    """

    others: Sequence[float]
    implausible: Sequence[str]


def find_neighbours(
    connection: DuckDBPyConnection, judged: Sequence[RegionalWindow], regions: Regions
) -> dict[Place, Neighbours]:
    """The neighbours of the anomalous sensors of each regional window, as far as they are known.

    A sensor whose region a server would have to be asked for is left out.
    """
    if not judged:
        return {}
    starts = sorted({window.window_start for window in judged})
    faults = _by_window(implausible_sensors(connection, starts))
    medians = _medians(connection, judged, starts)
    return {
        (window.region, window.window_start): _neighbours(
            window, faults[window.window_start], medians[window.region, window.window_start], regions
        )
        for window in judged
    }


def _neighbours(
    window: RegionalWindow, faults: Sequence[Implausible], medians: Mapping[str, float], regions: Regions
) -> Neighbours:
    def in_region(sensor: str) -> bool:
        return regions.known_region_of(sensor) == window.region

    here = [fault for fault in faults if fault.sensor in window.sensors or in_region(fault.sensor)]
    broken = {fault.sensor for fault in here}
    others = [pm25 for sensor, pm25 in medians.items() if sensor not in broken and in_region(sensor)]
    return Neighbours(sorted(others), [str(fault) for fault in here])


def _medians(
    connection: DuckDBPyConnection, judged: Sequence[RegionalWindow], starts: Sequence[datetime]
) -> Mapping[Place, Mapping[str, float]]:
    """Median PM2.5 of each sensor without an anomaly of the region, while those of the region were anomalous."""
    rows = [{"region": one.region, "window_start": one.window_start, "sensors": one.sensors} for one in judged]
    medians: dict[Place, dict[str, float]] = defaultdict(dict)
    parameters = {"margin": MARGIN, "first": starts[0], "last": starts[-1]}
    with registered(connection, "judged", pa.Table.from_pylist(rows, _JUDGED)):
        for region, start, sensor, pm25 in connection.execute(_MEDIANS, parameters).fetchall():
            medians[region, start][sensor] = pm25
    return medians


def _by_window(faults: Sequence[Implausible]) -> Mapping[datetime, Sequence[Implausible]]:
    grouped: dict[datetime, list[Implausible]] = defaultdict(list)
    for fault in faults:
        grouped[fault.window_start].append(fault)
    return grouped
