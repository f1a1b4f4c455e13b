"""Which sensors the rules on health judge, and in which region each is compared."""

from functools import cache

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.health.judge_windows import RegionOf
from aqi_dagster.pipeline.regions.base import Regions
from aqi_dagster.pipeline.store.window_ledger import settings_hash


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
