"""Packs the borders of counties and states, and the coast, out of the npm package us-atlas.

``python -m aqi_dagster.web.pack_lines counties-10m.json`` writes ``lines/us_lines.npz`` anew: the borders of a TopoJSON
file, thinned to half a hundredth of a degree, which is what a map of a county shows.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from shapely.geometry import LineString

from aqi_dagster.web.lines import COUNTY, FILE, PER_DEGREE, SHORE, STATE

TOLERANCE = 0.005
"""How far, in degrees, a line may lie from where it was."""


def main() -> None:
    """Write the packed file."""
    topology = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    scale, translate = np.array(topology["transform"]["scale"]), np.array(topology["transform"]["translate"])
    kinds, points, lengths = [], [], []
    for kind, arc in zip(_kinds(topology), topology["arcs"], strict=True):
        line = np.cumsum(np.array(arc), axis=0) * scale + translate
        if len(line) > 2:
            line = np.array(LineString(line).simplify(TOLERANCE).coords)
        kinds.append(kind)
        points.append(np.round(line * PER_DEGREE).astype(np.int32))
        lengths.append(len(line))
    # Differences, which are small, are packed into half the bytes.
    steps = np.diff(np.concatenate(points), axis=0, prepend=np.zeros((1, 2), np.int32))
    np.savez_compressed(
        FILE, kinds=np.array(kinds, np.uint8), lengths=np.array(lengths, np.int32), steps=steps.T.astype(np.int32)
    )


def _kinds(topology: dict[str, Any]) -> list[int]:
    """What each line parts: two counties, two states, or the country from what is outside."""
    states = defaultdict(list)
    for county in topology["objects"]["counties"]["geometries"]:
        for arc in _arcs(county):
            states[arc].append(county["id"][:2])
    return [
        SHORE if len(states[arc]) < 2 else COUNTY if len(set(states[arc])) == 1 else STATE
        for arc in range(len(topology["arcs"]))
    ]


def _arcs(geometry: dict[str, Any]) -> Iterator[int]:
    """The numbers of the lines around a county; TopoJSON writes ``~number`` of one that is walked backwards."""
    polygons = geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]
    for polygon in polygons:
        for ring in polygon:
            yield from (arc if arc >= 0 else ~arc for arc in ring)


if __name__ == "__main__":
    main()
