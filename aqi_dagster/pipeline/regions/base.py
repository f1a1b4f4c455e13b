"""Which region a sensor belongs to.

There are three ways: one region for all (:class:`OneRegion`), polygons (:class:`~.polygons.PolygonRegions`), and the
county that a geocoder names (:class:`CountyRegions`; ``counties`` asks it). The latter two put a sensor that is in no
region, or whose text is not two coordinates, into a leftover region, so that no anomaly is lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class Regions(Protocol):
    """Anything that can name the region of a sensor."""

    @property
    def settings(self) -> Sequence[str]:
        """What determines the regions: equal settings give a sensor the same region, once its county was looked up."""

    def region_of(self, sensor: str) -> str:
        """Name of the region of ``sensor``, whose text is ``"latitude, longitude"`` in degrees."""

    def known_region_of(self, sensor: str) -> str | None:
        """Name of the region of ``sensor``, or None if its county was never looked up."""


class Geocoder(Protocol):
    """Anything that can name the county at a place; ``method`` distinguishes its answers from those of others."""

    @property
    def method(self) -> str:
        """How it finds counties, as ``sensor_regions`` records it."""

    @property
    def remote(self) -> bool:
        """Whether every call of :meth:`county` is a request to a server."""

    def county(self, latitude: float, longitude: float) -> str | None:
        """The county at a place (degrees) with its state; None if there is none.

        Raises :class:`GeocodingError` if the geocoder cannot answer now.
        """


@dataclass(frozen=True)
class OneRegion:
    """Every sensor belongs to the one region ``name``, as in the streaming notebook."""

    name: str

    @property
    def settings(self) -> Sequence[str]:
        """The name."""
        return ["name", self.name]

    def region_of(self, sensor: str) -> str:
        """The configured name, whatever the sensor."""
        return self.name

    known_region_of = region_of


@dataclass(frozen=True)
class CountyRegions:
    """``counties`` by sensor, as a geocoder named them by ``method``: None where there is no county.

    Such a sensor, and one that is not in ``counties``, belongs to the region ``elsewhere``.
    """

    counties: Mapping[str, str | None]
    elsewhere: str
    method: str

    @property
    def settings(self) -> Sequence[str]:
        """The method of the geocoder, and the leftover region."""
        return ["county", self.method, self.elsewhere]

    def region_of(self, sensor: str) -> str:
        """The county of ``sensor``, or the leftover region."""
        return self.counties.get(sensor) or self.elsewhere

    def known_region_of(self, sensor: str) -> str | None:
        """As :meth:`region_of`, but None if the county of ``sensor`` was never looked up."""
        return self.region_of(sensor) if sensor in self.counties else None
