"""Places on a flat map: the projection of web maps, in degrees, so that tiles of any map server fit."""

import math

import numpy as np
from numpy.typing import NDArray

HIGHEST_LATITUDE = 85.0
"""Beyond it the projection has no end, and no map server has tiles."""


def northing(latitude: float) -> float:
    """How far north ``latitude`` lies on the map, in degrees of longitude at the equator.

    >>> round(northing(45.0), 4)
    50.499
    """
    clipped = min(max(latitude, -HIGHEST_LATITUDE), HIGHEST_LATITUDE)
    return math.degrees(math.asinh(math.tan(math.radians(clipped))))


def northings(latitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    """:func:`northing` of each of ``latitudes``."""
    clipped = np.clip(latitudes, -HIGHEST_LATITUDE, HIGHEST_LATITUDE)
    return np.degrees(np.arcsinh(np.tan(np.radians(clipped))))
