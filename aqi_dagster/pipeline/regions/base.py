"""Which region a sensor belongs to.

There are three ways: one region for all (:class:`OneRegion`), polygons (:class:`~.polygons.PolygonRegions`), and the
county that a geocoder names (:class:`CountyRegions`; ``counties`` has it asked). The latter two keep a sensor that is
in no region, or whose text is not two coordinates, under a leftover region, so that no anomaly is lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class Regions(Protocol):
    """Anything that can name the region of a sensor."""

    @property
    def settings(self) -> Sequence[str]:
        """What the regions are made by: two with equal settings name the same regions, once all are looked up."""

    def region_of(self, sensor: str) -> str:
        """Name of the region of ``sensor``, whose text is ``"latitude, longitude"`` in degrees."""

    def known_region_of(self, sensor: str) -> str | None:
        """The same, or None if it was never asked for."""


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
    """Regions are ``counties``, by sensor, as a geocoder names them by ``method``: None where it knows of none.

    All other sensors are ``elsewhere``.
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
        """The county of ``sensor`` or the leftover region, or None if no geocoder was asked for it."""
        return self.region_of(sensor) if sensor in self.counties else None
