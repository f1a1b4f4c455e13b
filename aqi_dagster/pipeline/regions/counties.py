"""Looking up counties: once for each sensor, and never while the store is locked.

A server accepts one request a second, so many new sensors take minutes. The store is opened only to select the sensors
to look up and to record the answers, a few at a time: others can use it in between, and a process that is killed loses
few answers. This module alone writes the table ``sensor_regions``.
"""

import logging
import time
from collections.abc import Sequence

from duckdb import DuckDBPyConnection

from aqi_dagster.errors import GeocodingError
from aqi_dagster.pipeline.regions import geocoding
from aqi_dagster.pipeline.regions.base import CountyRegions, Geocoder
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.sql import transaction
from aqi_dagster.progress import Progress, unwatched
from aqi_dagster.sensors import coordinates
from aqi_dagster.windows import WindowRange, utc_now

MAX_FAILURES = 3
"""Failures of a geocoder in a row after which a run stops asking it."""

ANSWERS_AT_ONCE = 20
"""Answers of a server that one transaction records."""

MOST_ASKED = 300
"""Sensors that a server is asked for in one run: five minutes at a question a second."""

_log = logging.getLogger(__name__)

_SENSORS_TO_LOOK_UP = """
WITH anomalous AS (
    SELECT DISTINCT sensor FROM anomalies WHERE window_start BETWEEN $first AND $last
    UNION
    SELECT DISTINCT sensor FROM readings WHERE $of_all AND window_start BETWEEN $first AND $last
), candidates AS (
    FROM anomalous
    UNION
    SELECT sensor FROM sensors WHERE NOT $remote AND EXISTS (FROM anomalous)
)
SELECT sensor
FROM candidates
WHERE sensor NOT IN (SELECT sensor FROM sensor_regions WHERE method = $method)
ORDER BY sensor
"""

_INSERT_ANSWER = """
INSERT INTO sensor_regions BY NAME
SELECT $sensor AS sensor, $method AS method, $region AS region, $looked_up_at AS looked_up_at
"""


def look_up_counties(
    store: Store,
    geocoder: Geocoder,
    windows: WindowRange,
    elsewhere: str,
    of_all: bool = False,
    progress: Progress = unwatched,
) -> None:
    """Have ``geocoder`` name the counties of the sensors with anomalies in ``windows``, or ``of_all`` that reported.

    A server is asked for at most :data:`MOST_ASKED` sensors a run.

    Answers are stored in the table ``sensor_regions``, and no sensor in it is looked up again. A sensor for which the
    geocoder fails is in the region ``elsewhere`` until the next run asks again, and the log says so.
    """
    with store.looking_up():
        _Lookups(store, geocoder, windows, elsewhere, of_all, progress).run()


def county_regions(connection: DuckDBPyConnection, geocoder: Geocoder, elsewhere: str) -> CountyRegions:
    """The regions of the sensors that ``geocoder`` has named so far."""
    rows = connection.execute(
        "SELECT sensor, region FROM sensor_regions WHERE method = ?", [geocoder.method]
    ).fetchall()
    return CountyRegions(dict(rows), elsewhere, geocoder.method)


class _Lookups:
    """The lookups of one run."""

    def __init__(
        self,
        store: Store,
        geocoder: Geocoder,
        windows: WindowRange,
        elsewhere: str,
        of_all: bool,
        progress: Progress,
    ) -> None:
        self._store = store
        self._geocoder = geocoder
        self._windows = windows
        self._elsewhere = elsewhere
        self._of_all = of_all
        self._progress = progress
        self._failures = 0
        self._asked = 0

    def run(self) -> None:
        with self._store.exclusive() as connection:
            sensors = self._sensors_to_look_up(connection)
        # A geocoder in this process answers at once, so one transaction records all of its answers.
        size = ANSWERS_AT_ONCE if self._geocoder.remote else max(len(sensors), 1)
        for first in range(0, len(sensors), size):
            if self._failures >= MAX_FAILURES:
                break
            answers = self._ask(sensors[first : first + size], len(sensors))
            if answers:
                with self._store.exclusive() as connection, transaction(connection):
                    for sensor, county in answers.items():
                        connection.execute(
                            _INSERT_ANSWER,
                            {
                                "sensor": sensor,
                                "method": self._geocoder.method,
                                "region": county,
                                "looked_up_at": utc_now(),
                            },
                        )
        if sensors and self._geocoder.remote:
            # The next run's first request must come a second after the last one of this run.
            time.sleep(geocoding.SECONDS_BETWEEN_REQUESTS)

    def _sensors_to_look_up(self, connection: DuckDBPyConnection) -> list[tuple[str, tuple[float, float]]]:
        """Sensors with their coordinates whose county was never looked up: of a server only those with an anomaly."""
        rows = connection.execute(
            _SENSORS_TO_LOOK_UP,
            {
                **self._windows.bounds,
                "remote": self._geocoder.remote,
                "method": self._geocoder.method,
                "of_all": self._of_all,
            },
        ).fetchall()
        sensors = [(sensor, place) for (sensor,) in rows if (place := coordinates(sensor)) is not None]
        return sensors[:MOST_ASKED] if self._geocoder.remote else sensors

    def _ask(self, sensors: Sequence[tuple[str, tuple[float, float]]], of: int) -> dict[str, str | None]:
        """The counties of those ``sensors``, of so many, for which the geocoder answers; None is an answer, too."""
        answers = {}
        for sensor, place in sensors:
            self._progress("sensors looked up", self._asked, of)
            self._asked += 1
            if self._failures >= MAX_FAILURES:
                break
            try:
                answers[sensor] = self._geocoder.county(*place)
            except GeocodingError as error:
                self._failures += 1
                _log.warning(
                    "Sensor %s is in region %s for now. %s The next run over its window asks again.",
                    sensor,
                    self._elsewhere,
                    error,
                )
                if self._failures == MAX_FAILURES:
                    _log.warning(
                        "The geocoder failed %d times in a row. All sensors that it did not name yet are in region %s "
                        "for now; the next run over their windows asks again.",
                        MAX_FAILURES,
                        self._elsewhere,
                    )
            else:
                self._failures = 0
        return answers
