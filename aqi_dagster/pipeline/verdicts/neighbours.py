"""What a region's other sensors read while some were anomalous: how far it reaches, and whether to believe it."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

import pyarrow as pa
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.health.health_table import SensorHealth
from aqi_dagster.pipeline.store.portions import readings_of, sensor_spans
from aqi_dagster.pipeline.store.sql import registered
from aqi_dagster.pipeline.verdicts.regional_window import RegionalWindow
from aqi_dagster.sensors import devices
from aqi_dagster.windows import WindowRange

MARGIN = timedelta(minutes=30)
"""Time before the first and after the last anomaly in which the others are looked at, too: one may be all there is."""

_SENSORS = pa.schema([("region", pa.string()), ("window_start", pa.timestamp("us")), ("sensor", pa.string())])

_MEDIANS = """
WITH spans AS (
    SELECT region, anomalous.window_start, min(created_at) - $margin AS begins, max(created_at) + $margin AS ends
    FROM anomalous
    JOIN anomalies USING (window_start, sensor)
    WHERE anomalies.window_start BETWEEN $first AND $last
    GROUP BY region, anomalous.window_start
)
SELECT region, others.window_start, sensor, median(pm25_cf1)
FROM scored_readings
JOIN others USING (window_start, sensor)
JOIN spans USING (region, window_start)
WHERE scored_readings.window_start BETWEEN $first AND $last AND created_at BETWEEN begins AND ends
"""

_OF_SPAN = "AND sensor BETWEEN $first_sensor AND $last_sensor"

_BY_SENSOR = """
GROUP BY region, others.window_start, sensor
"""

READINGS_AT_ONCE = 2_000_000
"""Readings whose medians are made at once: DuckDB holds all of them in memory."""

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
    here: dict[Place, list[SensorHealth]] = defaultdict(list)
    for start in {window.window_start for window in judged}:
        for row in health[start]:
            if row.region is not None:
                here[row.region, start].append(row)
    medians = _medians(connection, judged, here)
    return {
        _place_of(window): _neighbours(window, here[_place_of(window)], medians[_place_of(window)]) for window in judged
    }


def _place_of(window: RegionalWindow) -> Place:
    return window.region, window.window_start


def _neighbours(window: RegionalWindow, here: Sequence[SensorHealth], medians: Mapping[str, float]) -> Neighbours:
    faulty = [f"{row.sensor}: {row.reason}" for row in here if row.fault is not None]
    aside = {*window.sensors, *(row.sensor for row in here if row.fault is not None)}
    known = {*aside, *(row.sensor for row in here if row.sensor in medians)}
    others = [
        median(medians[sensor] for sensor in texts) for texts in devices(sorted(known)) if aside.isdisjoint(texts)
    ]
    return Neighbours(sorted(others), faulty)


def _medians(
    connection: DuckDBPyConnection, judged: Sequence[RegionalWindow], here: Mapping[Place, Sequence[SensorHealth]]
) -> Mapping[Place, Mapping[str, float]]:
    """Median PM2.5 of each sensor without an anomaly or a fault of the region, while others of it were anomalous."""
    starts = [one.window_start for one in judged]
    windows = WindowRange(min(starts), max(starts))
    anomalous = {_place_of(one): set(one.sensors) for one in judged}
    others = {
        place: [row.sensor for row in here[place] if row.fault is None and row.sensor not in sensors]
        for place, sensors in anomalous.items()
    }
    medians: dict[Place, dict[str, float]] = defaultdict(dict)
    with registered(connection, "anomalous", _table(anomalous)), registered(connection, "others", _table(others)):
        in_all = sum(readings_of(connection, windows).values())
        for span in sensor_spans(connection, windows, in_all, READINGS_AT_ONCE):
            condition, of_span = ("", {}) if span is None else (_OF_SPAN, span._asdict())
            parameters = {**windows.bounds, "margin": MARGIN, **of_span}
            rows = connection.execute(_MEDIANS + condition + _BY_SENSOR, parameters).fetchall()
            for region, start, sensor, pm25 in rows:
                medians[region, start][sensor] = pm25
    return medians


def _table(sensors: Mapping[Place, Collection[str]]) -> pa.Table:
    rows = [(*place, sensor) for place, of_place in sensors.items() for sensor in of_place]
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table(dict(zip(_SENSORS.names, columns, strict=True)), _SENSORS)
