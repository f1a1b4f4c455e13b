"""The readings of a window hour by hour: all that the network rules see of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from duckdb import DuckDBPyConnection
from numpy.typing import NDArray

from aqi_dagster.pipeline.store.portions import readings_of, sensor_spans
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, window_start

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]

MIN_HOURS = 6
"""A sensor with readings in this many hours of a window, or more, takes part in it."""

READINGS_SUMMED = 2_000_000
"""Readings whose hour means are made at once: DuckDB takes some hundred bytes for each sensor and hour."""

_HOUR = timedelta(hours=1)
_HOURS_OF_WINDOW = WINDOW_LENGTH // _HOUR

_WINDOW_READINGS = """
WITH chosen_readings AS (
    SELECT
        sensor,
        window_start,
        date_trunc('hour', created_at) AS hour,
        pm25_cf1,
        pm25_cf1_b,
        humidity,
        pm1_cf1,
        pm10_cf1
    FROM readings
    WHERE window_start BETWEEN $first AND $last AND NOT repeated
"""

# The twelve hours before a moment stand for a window that begins with them.
_READINGS_BEFORE = """
WITH chosen_readings AS (
    SELECT
        sensor,
        $begin::TIMESTAMP AS window_start,
        time_bucket(INTERVAL 1 HOUR, created_at, $begin::TIMESTAMP) AS hour,
        pm25_cf1,
        pm25_cf1_b,
        humidity,
        pm1_cf1,
        pm10_cf1
    FROM readings
    WHERE
        window_start BETWEEN $first AND $last
        AND created_at >= $begin
        AND created_at < $begin + INTERVAL 12 HOURS
        AND NOT repeated
"""

_OF_SPAN = "AND sensor BETWEEN $first_sensor AND $last_sensor"

_MEANS = """
)
-- Hours with readings, by sensor: means in ug/m3 (CF=1) and percent. Repeated readings do not count.
-- A sum of decimals is exact, so a mean does not depend on the order in which threads add up; one of floats would.
, decimals AS (
    SELECT
        sensor,
        window_start,
        hour,
        pm25_cf1 AS reading,
        -- Clamped, as a decimal ends somewhere; no value of this size is a measurement. NULL stays NULL.
        (CASE WHEN COLUMNS(['pm25_cf1', 'pm25_cf1_b', 'humidity', 'pm1_cf1', 'pm10_cf1']) BETWEEN -1e18 AND 1e18
              THEN COLUMNS(['pm25_cf1', 'pm25_cf1_b', 'humidity', 'pm1_cf1', 'pm10_cf1'])
              ELSE sign(COLUMNS(['pm25_cf1', 'pm25_cf1_b', 'humidity', 'pm1_cf1', 'pm10_cf1'])) * 1e18
         END)::DECIMAL(38, 15)
    FROM chosen_readings
)
SELECT
    sensor,
    window_start,
    hour,
    avg(pm25_cf1) AS mean_pm25,
    min(reading) AS least_pm25,
    max(reading) AS greatest_pm25,
    avg(humidity) AS humidity,
    avg(pm1_cf1) / nullif(avg(pm10_cf1), 0) AS fine_share,
    avg(pm25_cf1_b) AS mean_pm25_b
FROM decimals
GROUP BY sensor, window_start, hour
ORDER BY sensor, hour
"""


def read_hours(connection: DuckDBPyConnection, windows: WindowRange) -> pa.Table:
    """The hours of ``windows`` that hold readings, a row per sensor and hour.

    Columns: ``sensor``, ``window_start``, ``hour`` (its start, UTC); ``mean_pm25``, ``least_pm25``, ``greatest_pm25``
    of the first laser (CF=1, ug/m3); ``mean_pm25_b`` of the second, ``humidity`` (percent) and ``fine_share`` (mean
    PM1.0 over mean PM10), which are NULL where not known.
    """
    return _read(connection, _WINDOW_READINGS, windows, {})


def read_hours_before(connection: DuckDBPyConnection, moment: datetime) -> pa.Table:
    """The twelve blocks of 60 minutes that end at ``moment``, a row per sensor and block with readings.

    The columns are those of :func:`read_hours`; ``window_start`` is twelve hours before ``moment``, ``hour`` the start
    of the block.
    """
    begin = moment - WINDOW_LENGTH
    windows = WindowRange(window_start(begin), window_start(moment))
    return _read(connection, _READINGS_BEFORE, windows, {"begin": begin})


def _read(
    connection: DuckDBPyConnection, readings: str, windows: WindowRange, parameters: Mapping[str, datetime]
) -> pa.Table:
    """The hours of those ``readings`` of ``windows``, a group of sensors after the other: sums take more than hours."""
    tables = []
    in_all = sum(readings_of(connection, windows).values())
    for span in sensor_spans(connection, windows, in_all, READINGS_SUMMED):
        condition, of_span = ("", {}) if span is None else (_OF_SPAN, span._asdict())
        hours = connection.sql(readings + condition + _MEANS, params={**parameters, **windows.bounds, **of_span})
        tables.append(hours.to_arrow_table())
    return pa.concat_tables(tables)


@dataclass(frozen=True)
class Hours:
    """The hours of one window as arrays: a row per sensor, in order of its text, and a column per hour.

    ``mean`` and ``second`` are the hour means of the first and the second laser (PM2.5 CF=1, ug/m3), ``humidity`` is in
    percent, ``fine_share`` is mean PM1.0 over mean PM10; NaN where there is none. ``least`` and ``greatest`` are
    those of all readings of the window: one number per sensor.
    """

    sensors: Sequence[str]
    mean: Floats
    second: Floats
    humidity: Floats
    fine_share: Floats
    least: Floats
    greatest: Floats

    @classmethod
    def of(cls, table: pa.Table, window: datetime) -> "Hours":
        """The arrays of ``window`` (start) from a ``table`` of :func:`read_hours`, whose rows may come in any order."""
        table = table.filter(pc.equal(table["window_start"], pa.scalar(window, pa.timestamp("us"))))
        sensors = sorted(pc.unique(table["sensor"]).to_pylist())
        rows = positions(table["sensor"], sensors)
        begins = table["hour"].to_numpy().astype("datetime64[us]")
        columns = (begins - np.datetime64(window, "us")) // np.timedelta64(_HOUR)

        def dense(name: str) -> Floats:
            values = np.full((len(sensors), _HOURS_OF_WINDOW), np.nan)
            values[rows, columns] = table[name].to_numpy()
            return values

        return cls(
            sensors,
            mean=dense("mean_pm25"),
            second=dense("mean_pm25_b"),
            humidity=dense("humidity"),
            fine_share=dense("fine_share"),
            least=np.fmin.reduce(dense("least_pm25"), axis=1),
            greatest=np.fmax.reduce(dense("greatest_pm25"), axis=1),
        )

    @cached_property
    def count(self) -> Counts:
        """Hours with readings, by sensor: 1 or more."""
        return np.asarray(np.count_nonzero(~np.isnan(self.mean), axis=1), np.int64)

    @cached_property
    def average(self) -> Floats:
        """The mean of each sensor's hour means (ug/m3)."""
        return self.average_of(self.mean)

    @cached_property
    def highest(self) -> Floats:
        """Each sensor's highest hour mean (ug/m3)."""
        return np.asarray(np.fmax.reduce(self.mean, axis=1))

    def average_of(self, hourly: Floats) -> Floats:
        """The mean of ``hourly`` values over each sensor's hours with readings."""
        return np.asarray(np.where(np.isnan(self.mean), 0.0, hourly).sum(axis=1) / self.count)


def positions(texts: pa.ChunkedArray, values: Sequence[str]) -> Counts:
    """Where in ``values`` each of ``texts`` stands; -1 for one that does not."""
    found = pc.index_in(texts, value_set=pa.array(values, texts.type))
    return np.asarray(pc.fill_null(found, -1).to_numpy(), np.int64)
