"""Places on a flat map: the projection of web maps, in degrees, so that tiles of any map server fit."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

HIGHEST_LATITUDE = 85.0
"""Beyond it the projection has no end, and no map server has tiles."""

Number = TypeVar("Number", float, NDArray[np.float64])


def northing(latitude: Number) -> Number:
    """How far north ``latitude`` lies on the map, in degrees of longitude at the equator.

    >>> round(northing(45.0), 4)
    50.499
    """
    clipped = np.clip(latitude, -HIGHEST_LATITUDE, HIGHEST_LATITUDE)
    projected = np.degrees(np.arcsinh(np.tan(np.radians(clipped))))
    return projected if isinstance(latitude, np.ndarray) else float(projected)
