"""Sensors: the text that identifies each, and the spelling of its place.

A sensor is a text. It begins with its place, ``"latitude, longitude"`` in degrees: the digits as the message has them,
white space in one form. Where messages carry PurpleAir's ``sensor_index``, ``" #index"`` follows. That text is the
identity everywhere: a device that moved is a new sensor, and only their indices distinguish two devices at one place.
"""

import re

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


def _on_earth(latitude: float, longitude: float) -> bool:
    return abs(latitude) <= 90 and abs(longitude) <= 180
