"""Sensors: the text that identifies each, and the spelling of its place.

A sensor is a text. It begins with its place, ``"latitude, longitude"`` in degrees: white space evened out, digits as
they were given. Where messages carry PurpleAir's ``sensor_index``, ``" #index"`` follows. That text is the identity
everywhere, so a device that moved is a new sensor, and two devices at one place are told apart by their index alone.

A producer may write the digits of a place in several ways, or leave an index out. Such texts stay sensors of their own,
but where sensors are counted they are one device (:func:`devices`).
"""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable
from functools import lru_cache

_PLACE = re.compile(r"\s*(-?\d{1,3}(?:\.\d+)?)\s*,\s*(-?\d{1,3}(?:\.\d+)?)\s*", re.ASCII)
_SENSOR = re.compile(_PLACE.pattern + r"(?:#(\d+))?", re.ASCII)


def even_spelling(place: str) -> str | None:
    """The one spelling of ``place``, ``"latitude, longitude"``, with its own digits; None if it is not on Earth.

    >>> even_spelling("45.504625,\\n -122.595016")
    '45.504625, -122.595016'
    """
    match = _PLACE.fullmatch(place)
    return f"{match[1]}, {match[2]}" if match and _on_earth(float(match[1]), float(match[2])) else None


def identity(place: str, index: int | None) -> str:
    """The sensor at ``place`` (in its one spelling) with PurpleAir's ``index``, if it has one.

    >>> identity("45.504625, -122.595016", 30001)
    '45.504625, -122.595016 #30001'
    """
    return place if index is None else f"{place} #{index}"


def place_of(sensor: str) -> str:
    """The place that the text of ``sensor`` begins with.

    >>> place_of("45.504625, -122.595016 #30001")
    '45.504625, -122.595016'
    """
    return sensor.partition(" #")[0]


@lru_cache(maxsize=1 << 15)
def coordinates(sensor: str) -> tuple[float, float] | None:
    """Latitude and longitude of ``sensor``, in degrees; None if its text names no place on Earth.

    >>> coordinates("45.504625, -122.595016 #30001")
    (45.504625, -122.595016)
    """
    match = _SENSOR.fullmatch(sensor)
    if match is None:
        return None
    latitude, longitude = float(match[1]), float(match[2])
    return (latitude, longitude) if _on_earth(latitude, longitude) else None


def devices(sensors: Iterable[str]) -> list[list[str]]:
    """The texts of ``sensors``, gathered by the device that they name: its place in any digits, and its index.

    A text without an index is no other device than one at its place that has one.

    >>> devices(["38.9, -120.1", "38.90, -120.10", "38.9, -120.1 #1", "38.9, -120.1 #2"])
    [['38.9, -120.1', '38.90, -120.10', '38.9, -120.1 #1'], ['38.9, -120.1 #2']]
    """
    places: dict[Hashable, dict[str, list[str]]] = defaultdict(dict)
    for sensor in sensors:
        index = sensor[len(place_of(sensor)) :]
        places[coordinates(sensor) or sensor].setdefault(index, []).append(sensor)
    found = []
    for by_index in places.values():
        without = by_index.pop("", [])
        first, *others = by_index.values() if by_index else [[]]
        found += [without + first, *others]
    return found


def _on_earth(latitude: float, longitude: float) -> bool:
    return abs(latitude) <= 90 and abs(longitude) <= 180
