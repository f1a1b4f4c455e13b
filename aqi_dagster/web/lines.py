"""Lines of a map without a network: coasts and the borders of states and counties of the United States.

``data/NOTICE`` says where they are from; :mod:`pack_lines` makes the file.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FILE = Path(__file__).with_name("data") / "us_lines.npz"

PER_DEGREE = 1000
"""Steps of the packed coordinates."""

COUNTY, STATE, SHORE = 0, 1, 2

MOST_POINTS = 15_000
"""Of one map: beyond it the borders of counties are left out."""


class Frame(NamedTuple):
    """A part of the Earth, in degrees."""

    west: float
    south: float
    east: float
    north: float


class _Lines(NamedTuple):
    """All lines: what each parts, where it begins and ends among the points, and the frame around it."""

    kinds: NDArray[np.uint8]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    points: NDArray[np.float64]
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]


Line = NDArray[np.float64]
"""Longitude and latitude of its points, a row each."""


def lines_within(frame: Frame) -> dict[int, list[Line]]:
    """The lines that touch ``frame``, by kind; none where no line of the United States is near."""
    lines = _lines()
    near = (
        (lines.lowest[:, 0] <= frame.east)
        & (lines.highest[:, 0] >= frame.west)
        & (lines.lowest[:, 1] <= frame.north)
        & (lines.highest[:, 1] >= frame.south)
    )
    if int((lines.ends - lines.begins)[near].sum()) > MOST_POINTS:
        near &= lines.kinds != COUNTY
    found: dict[int, list[Line]] = {COUNTY: [], STATE: [], SHORE: []}
    for line in np.flatnonzero(near).tolist():
        found[int(lines.kinds[line])].append(lines.points[lines.begins[line] : lines.ends[line]])
    return found


@cache
def _lines() -> _Lines:
    with np.load(FILE) as packed:
        lengths = packed["lengths"].astype(np.int64)
        points = np.cumsum(packed["steps"].T.astype(np.int64), axis=0) / PER_DEGREE
        kinds = packed["kinds"]
    ends = np.cumsum(lengths)
    begins = ends - lengths
    lowest, highest = np.minimum.reduceat(points, begins), np.maximum.reduceat(points, begins)
    return _Lines(kinds, begins, ends, points, lowest, highest)
