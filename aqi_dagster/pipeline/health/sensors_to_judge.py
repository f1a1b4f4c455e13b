"""Which sensors the rules on health judge, in which region each is compared, and whether that has changed since."""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from functools import cache
from itertools import groupby
from operator import itemgetter

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.health.findings import texts_to_judge
from aqi_dagster.pipeline.health.judge_windows import EDITION, RegionOf
from aqi_dagster.pipeline.health.known_trouble import read_trouble
from aqi_dagster.pipeline.regions.base import Regions
from aqi_dagster.pipeline.store.outdated import OutdatedHealth, outdated_health
from aqi_dagster.pipeline.store.restart import first_window_to_run
from aqi_dagster.pipeline.store.window_ledger import newest_judged, settings_hash
from aqi_dagster.sensors import coordinates
from aqi_dagster.windows import WindowRange

_JUDGED_IN = """
SELECT sensor, region, min(window_start)
FROM sensor_health
WHERE window_start >= ? AND (known_trouble IS NULL OR NOT starts_with(known_trouble, 'excluded'))
GROUP BY sensor, region
"""

_SHARING = """
SELECT window_start, sensor, region, hours, known_trouble
FROM sensor_health
WHERE window_start >= ? AND sensor IN (SELECT unnest(?))
ORDER BY window_start, sensor
"""

_JUDGED_BY = """
SELECT sensor, window_start, known_trouble, repaired_at
FROM sensor_health
WHERE
    window_start >= ?
    AND (
        known_trouble IS NOT NULL
        OR repaired_at IS NOT NULL
        OR sensor IN (SELECT sensor FROM known_trouble)
    )
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
    """SHA-256, hexadecimal, of the settings by which sensors are compared, and of the rules' edition."""
    return settings_hash(list(regions.settings), edition=EDITION)


def all_outdated_health(connection: DuckDBPyConnection, first_window: datetime, regions: Regions) -> OutdatedHealth:
    """What the ledger says is outdated, and sensors that were judged otherwise than they would be by what is known now.

    A county may be looked up after windows of its sensor were judged, a sensor may say later that it is inside, and an
    operator that it was broken.
    """
    outdated, last = outdated_health(connection, first_window, regions_hash(regions)), newest_judged(connection)
    moved, troubled = _moved(connection, first_window, regions), _otherwise_known(connection, first_window)
    starts = [*moved.values(), *troubled.values()]
    if not starts or last is None:
        return outdated
    first = first_window_to_run(connection, min(starts), first_window)
    windows = WindowRange(first if outdated.windows is None else min(first, outdated.windows.first), last)
    return replace(outdated, moved_sensors=len(moved), troubled_sensors=len(troubled), windows=windows)


def _moved(connection: DuckDBPyConnection, first_window: datetime, regions: Regions) -> dict[str, datetime]:
    """The sensors that were judged in another region than they are in now, and since when."""
    region_of = sensors_to_judge(connection, regions)
    texts = [sensor for (sensor,) in connection.execute("SELECT sensor FROM sensors ORDER BY sensor").fetchall()]
    # Which of the texts of one place are one device depends on which of them a window has.
    counts = Counter(map(coordinates, texts))
    shared = {text for text in texts if coordinates(text) is not None and counts[coordinates(text)] > 1}
    moved = _moved_of_shared(connection, first_window, region_of, shared)
    for sensor, region, first in connection.execute(_JUDGED_IN, [first_window]).fetchall():
        if sensor not in shared and region_of(sensor) != region:
            moved[sensor] = min(first, moved.get(sensor, first))
    return moved


def _moved_of_shared(
    connection: DuckDBPyConnection, first_window: datetime, region_of: RegionOf, shared: set[str]
) -> dict[str, datetime]:
    """The same of the texts that share a place (``shared``): in each window one of a device is judged for all."""
    moved: dict[str, datetime] = {}
    rows = connection.execute(_SHARING, [first_window, sorted(shared)]).fetchall() if shared else []
    for start, of_window in groupby(rows, key=itemgetter(0)):
        sensors, judged, hours, known = zip(*(row[1:] for row in of_window), strict=True)
        regions = [
            None if text is not None and text.startswith("excluded") else region_of(sensor)
            for sensor, text in zip(sensors, known, strict=True)
        ]
        for row, text in enumerate(texts_to_judge(sensors, hours, regions)):
            if judged[row] != (regions[row] if text == sensors[row] else None):
                moved.setdefault(sensors[row], start)
    return moved


def _otherwise_known(connection: DuckDBPyConnection, first_window: datetime) -> dict[str, datetime]:
    """The sensors of which operators know something else now than when they were judged, and since when."""
    trouble = read_trouble(connection)
    otherwise: dict[str, datetime] = {}
    for sensor, start, text, repaired_at in connection.execute(_JUDGED_BY, [first_window]).fetchall():
        known = trouble.at(sensor, start)
        if (known.text, known.repaired_at) != (text, repaired_at):
            otherwise.setdefault(sensor, start)
    return otherwise
