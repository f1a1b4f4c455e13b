"""What pictures of a window show of each sensor: its scored readings, and which of them are anomalies."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np
from duckdb import DuckDBPyConnection
from numpy.typing import NDArray

from aqi_dagster.pipeline.detection.anomalies import Thresholds
from aqi_dagster.pipeline.regions.base import Regions
from aqi_dagster.pipeline.verdicts.regional_window import RegionalWindow
from aqi_dagster.windows import WINDOW_LENGTH

_SCORED_READINGS = """
SELECT
    sensor,
    created_at,
    pm25_cf1,
    score,
    window_start = $window AND score > $score AND pm25_cf1 > $pm25 AS anomalous
FROM scored_readings
WHERE window_start IN ($before, $window)
ORDER BY sensor, created_at
"""


@dataclass(frozen=True)
class Series:
    """The readings of one sensor in order of time; ``pm25`` in ug/m3, ``anomalous`` True for anomalies."""

    sensor: str
    times: NDArray[np.datetime64]
    pm25: NDArray[np.float64]
    scores: NDArray[np.float64]
    anomalous: NDArray[np.bool_]

    @property
    def anomalies(self) -> int:
        """Number of anomalies."""
        return int(self.anomalous.sum())


def scored_series(connection: DuckDBPyConnection, window: datetime, thresholds: Thresholds) -> list[Series]:
    """The scored readings of ``window`` (start) and the one before; sensors with most anomalies in ``window`` first."""
    table = connection.sql(
        _SCORED_READINGS,
        params={
            "window": window,
            "before": window - WINDOW_LENGTH,
            "score": thresholds.score,
            "pm25": thresholds.pm25,
        },
    ).fetchnumpy()
    sensors = table["sensor"].astype(str)
    bounds = [0, *(np.flatnonzero(sensors[1:] != sensors[:-1]) + 1).tolist(), len(sensors)]
    columns = (table[name] for name in ("created_at", "pm25_cf1", "score", "anomalous"))
    times, pm25, scores, anomalous = map(np.asarray, columns)
    series = [
        Series(str(sensors[begin]), times[begin:end], pm25[begin:end], scores[begin:end], anomalous[begin:end])
        for begin, end in pairwise(bounds)
        if end > begin
    ]
    return sorted(series, key=lambda one: (-one.anomalies, -one.pm25.max()))


def region_series(
    connection: DuckDBPyConnection, window: RegionalWindow, regions: Regions, thresholds: Thresholds
) -> list[Series]:
    """Those of :func:`scored_series` that belong to sensors of the region, without asking any server."""
    return [
        one
        for one in scored_series(connection, window.window_start, thresholds)
        if one.sensor in window.sensors or regions.known_region_of(one.sensor) == window.region
    ]
