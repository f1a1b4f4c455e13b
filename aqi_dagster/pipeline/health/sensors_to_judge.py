"""Which sensors the rules on health judge, in which region each is compared, and whether that has changed since."""

from dataclasses import replace
from datetime import datetime
from functools import cache

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.health.judge_windows import RegionOf
from aqi_dagster.pipeline.regions.base import Regions
from aqi_dagster.pipeline.store.outdated import OutdatedHealth, outdated_health
from aqi_dagster.pipeline.store.restart import first_window_to_run
from aqi_dagster.pipeline.store.window_ledger import newest_judged, settings_hash
from aqi_dagster.sensors import coordinates, devices
from aqi_dagster.windows import WindowRange

_JUDGED_IN = """
SELECT sensor, region, min(window_start)
FROM sensor_health
WHERE window_start >= ?
GROUP BY sensor, region
"""

_JUDGED_TEXTS = """
SELECT window_start, list(sensor), list(sensor) FILTER (region IS NOT NULL)
FROM sensor_health
WHERE window_start >= $first_window AND list_contains($texts, sensor)
GROUP BY window_start
ORDER BY window_start
"""


def sensors_to_judge(connection: DuckDBPyConnection, regions: Regions) -> RegionOf:
    """Returns the region of each sensor outside; None for one inside a building, or whose region is not known yet."""
    rows = connection.execute("SELECT sensor FROM sensors WHERE location_type = 1").fetchall()
    inside = {sensor for (sensor,) in rows}

    @cache
    def region_of(sensor: str) -> str | None:
        return None if sensor in inside else regions.known_region_of(sensor)

    return region_of


def regions_hash(regions: Regions) -> str:
    """SHA-256, hexadecimal, of the settings by which sensors are compared."""
    return settings_hash(list(regions.settings))


def all_outdated_health(connection: DuckDBPyConnection, first_window: datetime, regions: Regions) -> OutdatedHealth:
    """What the ledger says is outdated, and the sensors that were judged in another region than they would be now.

    A county may be looked up after windows of its sensor were judged, and a sensor may say later that it is inside.
    """
    outdated = outdated_health(connection, first_window, regions_hash(regions))
    region_of, last = sensors_to_judge(connection, regions), newest_judged(connection)
    rows = connection.execute(_JUDGED_IN, [first_window]).fetchall()
    moved = {(sensor, first) for sensor, region, first in rows if region is not None and region_of(sensor) != region}
    unplaced = {sensor for sensor, region, _ in rows if region is None and region_of(sensor) is not None}
    moved |= _without_region(connection, first_window, unplaced, {sensor for sensor, *_ in rows})
    if not moved or last is None:
        return outdated
    first = first_window_to_run(connection, min(first for _, first in moved), first_window)
    windows = WindowRange(first if outdated.windows is None else min(first, outdated.windows.first), last)
    return replace(outdated, moved_sensors=len({sensor for sensor, _ in moved}), windows=windows)


def _without_region(
    connection: DuckDBPyConnection, first_window: datetime, unplaced: set[str], sensors: set[str]
) -> set[tuple[str, datetime]]:
    """Those of ``unplaced`` that were judged in no region in some window, each with the first such window.

    Of a device that comes under several texts in a window, one text is judged in place of the others: they are in no
    region then, which is as it should be.
    """
    places = {coordinates(sensor) or sensor for sensor in unplaced}
    texts = [sensor for sensor in sensors if (coordinates(sensor) or sensor) in places]
    found: dict[str, datetime] = {}
    for window, present, judged in connection.execute(
        _JUDGED_TEXTS, {"first_window": first_window, "texts": texts}
    ).fetchall():
        for device in devices(present):
            if not set(device) & set(judged or []):
                for sensor in unplaced & set(device):
                    found.setdefault(sensor, window)
    return set(found.items())
