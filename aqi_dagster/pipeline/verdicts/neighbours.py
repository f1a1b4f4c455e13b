"""What a region's other sensors read while some were anomalous: how far it reaches, and whether to believe it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.readings.accounting import implausible_sensors
from aqi_dagster.pipeline.regions.base import Regions

MARGIN = timedelta(minutes=30)
"""Time before the first and after the last anomaly in which the others are looked at, too: one may be all there is."""


@dataclass(frozen=True)
class Neighbours:
    """The sensors of a region and what they read from the first to the last anomaly of a window.

    ``others`` holds the median PM2.5 (CF=1, ug/m3) of each sensor without an anomaly, in ascending order.
    ``implausible`` tells the faults of those that were stuck or read the impossible for hours of the window, be they
    anomalous or not; they are not among the others.
    """

    others: Sequence[float]
    implausible: Sequence[str]

    @property
    def median(self) -> float:
        """The median of the others; :class:`statistics.StatisticsError` if there are none."""
        return median(self.others)


def find_neighbours(
    connection: DuckDBPyConnection, region: str, window: datetime, anomalous: Sequence[str], regions: Regions
) -> Neighbours:
    """The neighbours of the ``anomalous`` sensors of ``region`` in ``window`` (start), as far as they are known.

    A sensor whose region a server would have to be asked for is left out.
    """
    faults = [
        fault
        for fault in implausible_sensors(connection, window)
        if fault.sensor in anomalous or regions.known_region_of(fault.sensor) == region
    ]
    excluded = {*anomalous, *(fault.sensor for fault in faults)}
    medians = connection.execute(
        """
        WITH anomalous AS (
            SELECT min(created_at) - $margin AS begins, max(created_at) + $margin AS ends
            FROM anomalies
            WHERE window_start = $window AND list_contains($anomalous, sensor)
        )
        SELECT sensor, median(pm25_cf1)
        FROM scored_readings
        JOIN anomalous ON created_at BETWEEN begins AND ends
        WHERE window_start = $window
        GROUP BY sensor
        """,
        {"window": window, "anomalous": list(anomalous), "margin": MARGIN},
    ).fetchall()
    return Neighbours(
        others=sorted(
            pm25 for sensor, pm25 in medians if sensor not in excluded and regions.known_region_of(sensor) == region
        ),
        implausible=[str(fault) for fault in faults],
    )
