"""Which region a sensor belongs to."""

from dataclasses import dataclass
from typing import Protocol


class Regions(Protocol):
    """Anything that can name the region of a sensor."""

    def region_of(self, sensor: str) -> str:
        """Name of the region of ``sensor``, whose text is ``"latitude, longitude"`` in degrees."""


@dataclass(frozen=True)
class OneRegion:
    """Every sensor belongs to the one region ``name``, as in the streaming notebook."""

    name: str

    def region_of(self, sensor: str) -> str:
        """The configured name, whatever the sensor."""
        return self.name
