"""Which region a sensor belongs to.

There are three ways: one region for all (:class:`OneRegion`), polygons (:class:`~.polygons.PolygonRegions`), and a
geocoder that names a sensor's county (:class:`GeocodedRegions`). The latter two keep a sensor that is in no region,
or whose text is not two coordinates, under a leftover region, so that no anomaly is lost.
"""

import logging
from dataclasses import dataclass
from typing import Protocol

from duckdb import DuckDBPyConnection

from aqi_dagster.errors import GeocodingError
from aqi_dagster.pipeline.messages import coordinates
from aqi_dagster.windows import utc_now

MAX_FAILURES = 3
"""Questions in a row that a geocoder may leave unanswered; then a run asks it no more."""

_log = logging.getLogger(__name__)


class Regions(Protocol):
    """Anything that can name the region of a sensor."""

    def region_of(self, sensor: str) -> str:
        """Name of the region of ``sensor``, whose text is ``"latitude, longitude"`` in degrees."""

    def known_region_of(self, sensor: str) -> str | None:
        """The same, or None if that would have to be asked for outside of this process."""


class Geocoder(Protocol):
    """Anything that can name the county at a place; ``method`` says how, and tells its answers from others'."""

    @property
    def method(self) -> str:
        """How the counties are found, as ``sensor_regions`` records it."""

    @property
    def remote(self) -> bool:
        """Whether every question goes to a server."""

    def county(self, latitude: float, longitude: float) -> str | None:
        """The county at a place (degrees) with its state; None if there is none.

        Raises :class:`GeocodingError` if it cannot be told now.
        """


@dataclass(frozen=True)
class OneRegion:
    """Every sensor belongs to the one region ``name``, as in the streaming notebook."""

    name: str

    def region_of(self, sensor: str) -> str:
        """The configured name, whatever the sensor."""
        return self.name

    known_region_of = region_of


class GeocodedRegions:
    """Regions are the counties that a geocoder names.

    An answer is kept in the table ``sensor_regions`` at once and never asked for again. A sensor whose county cannot be
    told now is in the region ``elsewhere`` for as long as this object lives, and is asked for again by the next one.
    """

    def __init__(self, connection: DuckDBPyConnection, geocoder: Geocoder, elsewhere: str) -> None:
        self._connection = connection
        self._geocoder = geocoder
        self._elsewhere = elsewhere
        self._failures = 0
        self._counties: dict[str, str | None] = dict(
            connection.execute(
                "SELECT sensor, region FROM sensor_regions WHERE method = ?", [geocoder.method]
            ).fetchall()
        )

    def region_of(self, sensor: str) -> str:
        """The county of ``sensor``, or the leftover region."""
        if sensor not in self._counties:
            self._counties[sensor] = self._look_up(sensor)
        return self._counties[sensor] or self._elsewhere

    def known_region_of(self, sensor: str) -> str | None:
        """The county of ``sensor`` or the leftover region, or None if a server would have to be asked."""
        return None if self._geocoder.remote and sensor not in self._counties else self.region_of(sensor)

    def _look_up(self, sensor: str) -> str | None:
        place = coordinates(sensor)
        if place is None:
            return None
        if self._failures >= MAX_FAILURES:
            _log.warning("Sensor %s is in region %s for now: the geocoder fails", sensor, self._elsewhere)
            return None
        try:
            county = self._geocoder.county(*place)
        except GeocodingError as error:
            self._failures += 1
            _log.warning(
                "Sensor %s is in region %s for now. %s The next run over its window asks again.",
                sensor,
                self._elsewhere,
                error,
            )
            return None
        self._failures = 0
        self._connection.execute(
            "INSERT INTO sensor_regions VALUES (?, ?, ?, ?)", [sensor, self._geocoder.method, county, utc_now()]
        )
        return county
