"""What the stored anomalies of windows come to, by region; DuckDB sums them up, none of them becomes an object."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

import pyarrow as pa
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.sql import registered
from aqi_dagster.pipeline.verdicts.anomaly_summary import AnomalySummary
from aqi_dagster.sensors import devices
from aqi_dagster.windows import WindowRange

_SENSORS = """
SELECT DISTINCT sensor
FROM anomalies
WHERE window_start BETWEEN $first AND $last
"""

_SUMMARIES = """
WITH corrected AS (
    SELECT window_start, sensor, created_at, pm25_corrected
    FROM corrected_readings
    WHERE NOT repeated AND window_start BETWEEN $first AND $last
)
SELECT
    window_start,
    region,
    list(DISTINCT sensor ORDER BY sensor) AS sensors,
    count(*) AS count,
    min(created_at) AS min_event,
    max(pm25_cf1) AS max_pm25,
    max(pm25_corrected) AS max_corrected
FROM anomalies
JOIN placed USING (sensor)
LEFT JOIN corrected USING (window_start, sensor, created_at)
WHERE
    window_start BETWEEN $first AND $last
    AND sensor NOT IN (SELECT sensor FROM sensors WHERE location_type = 1)
    AND (window_start, sensor) NOT IN (
        SELECT (window_start, sensor)
        FROM sensor_health
        WHERE window_start BETWEEN $first AND $last AND known_trouble IS NOT NULL
    )
GROUP BY window_start, region
"""

_VALUES = """
SELECT window_start, region, list(pm25_cf1 ORDER BY created_at, sensor)
FROM anomalies
JOIN lone USING (window_start, sensor)
WHERE window_start BETWEEN $first AND $last
GROUP BY window_start, region
"""

_LONE = pa.schema([("window_start", pa.timestamp("us")), ("region", pa.string()), ("sensor", pa.string())])

Place = tuple[datetime, str]
"""The start of a window and a region."""


def summarize_stored(
    connection: DuckDBPyConnection, windows: WindowRange, region_of: Callable[[str], str]
) -> dict[datetime, dict[str, AnomalySummary]]:
    """The summaries of the stored anomalies of ``windows``, by window (start) and region.

    Those of sensors inside a building, and of sensors of which operators know trouble in that window, do not count.
    """
    by_window: dict[datetime, dict[str, AnomalySummary]] = {start: {} for start in windows}
    sensors = [sensor for (sensor,) in connection.execute(_SENSORS, windows.bounds).fetchall()]
    if not sensors:
        return by_window
    regions = [region_of(sensor) for sensor in sensors]
    placed = pa.table({"sensor": pa.array(sensors, pa.string()), "region": pa.array(regions, pa.string())})
    with registered(connection, "placed", placed):
        rows = connection.execute(_SUMMARIES, windows.bounds).fetchall()
    summaries = {(start, region): AnomalySummary(*row) for start, region, *row in rows}
    values = _values_of_lone(connection, windows, summaries)
    for (start, region), summary in summaries.items():
        by_window[start][region] = replace(summary, values=values.get((start, region), []))
    return by_window


def _values_of_lone(
    connection: DuckDBPyConnection, windows: WindowRange, summaries: Mapping[Place, AnomalySummary]
) -> dict[Place, list[float]]:
    """The PM2.5 (CF=1, ug/m3), in order of time, of the anomalies that are all of one device."""
    lone = [
        {"window_start": start, "region": region, "sensor": sensor}
        for (start, region), summary in summaries.items()
        if len(devices(summary.sensors)) == 1
        for sensor in summary.sensors
    ]
    if not lone:
        return {}
    with registered(connection, "lone", pa.Table.from_pylist(lone, _LONE)):
        rows = connection.execute(_VALUES, windows.bounds).fetchall()
    return {(start, region): values for start, region, values in rows}
