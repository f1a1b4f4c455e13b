"""How a page names sensors, and where it shows them: exactly, or rounded where everybody may look.

The text of a sensor holds its place, and so may the address of a house. A public page shows places rounded, calls a
sensor in addresses by a keyed hash, from which nobody can find out its place by trying all, and rounds every place
within a sentence.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass

from aqi_dagster.pipeline.alerts.wording import in_one_line
from aqi_dagster.sensors import coordinates, place_of

_PLACE = re.compile(r"(?<![\d.-])(-?\d{1,3}\.\d+),\s*(-?\d{1,3}\.\d+)(?:\s#\d+)?", re.ASCII)
"""A place within a text, with the index of the sensor there."""

_TOKEN_CHARACTERS = 20


@dataclass(frozen=True)
class Places:
    """Places with ``decimals`` of a degree, or as they are if that is None; ``key`` is a secret, for the hashes."""

    decimals: int | None = None
    key: bytes = b""

    def token(self, sensor: str) -> str:
        """What stands for ``sensor`` in an address."""
        if self.decimals is None:
            return sensor
        return hmac.new(self.key, sensor.encode(), hashlib.sha256).hexdigest()[:_TOKEN_CHARACTERS]

    def sensor_of(self, token: str, sensors: Iterable[str]) -> str | None:
        """The one of ``sensors`` that a token stands for."""
        return next(
            (sensor for sensor in sensors if hmac.compare_digest(self.token(sensor).encode(), token.encode())), None
        )

    def label(self, sensor: str, name: str | None) -> str:
        """What people read: the name that its messages give it, or else its place."""
        return self.text(in_one_line(name)) if name else self.text(in_one_line(sensor))

    def place(self, sensor: str) -> tuple[float, float] | None:
        """Latitude and longitude, in degrees; None if the text of the sensor names no place."""
        place = coordinates(place_of(sensor))
        if place is None or self.decimals is None:
            return place
        return round(place[0], self.decimals), round(place[1], self.decimals)

    def text(self, text: str) -> str:
        """A text of the store with every place in it rounded."""
        return text if self.decimals is None else _PLACE.sub(self._rounded, text)

    def _rounded(self, match: re.Match[str]) -> str:
        latitude, longitude = (f"{float(number):.{self.decimals}f}" for number in match.groups())
        return f"{latitude}, {longitude}"
