"""A map as a figure of Plotly: sensors in EPA's colours over lines, which needs no network and no WebGL."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from aqi_dagster.pipeline import aqi
from aqi_dagster.pipeline.numbers import rounded
from aqi_dagster.web.lines import COUNTY, SHORE, STATE, Frame, lines_within
from aqi_dagster.web.mercator import northing, northings
from aqi_dagster.web.shown import Row

Figure = dict[str, Any]

MARGIN = 0.15
"""Of the frame of the sensors, on each side."""

SMALLEST = 0.05
"""Degrees that a map shows at least."""

AROUND = 3.0
"""Lines are drawn for so many times the width and height of the frame, for who moves the map."""

UNKNOWN_COLOUR = "#8a8f98"

_SYMBOLS = {
    "healthy": "circle",
    "no vote": "circle",
    "not judged": "circle",
    "inside": "square",
    "broken": "x-thin",
    "silent": "circle-open",
}
_SIZES = {"healthy": 13, "no vote": 11, "not judged": 11, "inside": 10, "broken": 11, "silent": 11}

_LINE_WIDTHS = {COUNTY: 0.7, STATE: 1.4, SHORE: 1.4}


def map_figure(sensors: Sequence[Row], when: str) -> Figure:
    """All ``sensors`` that have a place; a broken one is crossed out, a silent one hollow."""
    placed = [one for one in sensors if one["latitude"] is not None]
    frame = frame_of([(one["latitude"], one["longitude"]) for one in placed])
    traces = [*_line_traces(frame)]
    for state in ("inside", "healthy", "no vote", "not judged", "silent", "broken"):
        those = [one for one in placed if one["state"] == state]
        if those:
            traces.append(_trace(state, those, when))
    return {"data": traces, "layout": map_layout(frame)}


def frame_of(places: Sequence[tuple[float, float]]) -> Frame:
    """The part of the Earth to show for these places (latitude, longitude), in degrees."""
    if not places:
        return Frame(-125.0, 24.0, -66.0, 50.0)
    latitudes, longitudes = zip(*places, strict=True)
    west, east = min(longitudes), max(longitudes)
    south, north = min(latitudes), max(latitudes)
    wide, high = max((east - west) * MARGIN, SMALLEST), max((north - south) * MARGIN, SMALLEST)
    return Frame(west - wide, max(south - high, -85.0), east + wide, min(north + high, 85.0))


def map_layout(frame: Frame) -> Figure:
    """The axes of a map: both in degrees of longitude at the equator, and not shown."""
    hidden = {"visible": False, "showgrid": False, "zeroline": False}
    return {
        "xaxis": {**hidden, "range": [frame.west, frame.east], "constrain": "range"},
        "yaxis": {**hidden, "range": [northing(frame.south), northing(frame.north)], "scaleanchor": "x"},
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "showlegend": False,
        "dragmode": "pan",
        "hovermode": "closest",
    }


def marker_colour(index: int | None) -> str:
    """EPA's colour of an index; grey if there is none."""
    return UNKNOWN_COLOUR if index is None else aqi.category(index).hex_colour


def reading_in_words(pm25_corrected: float | None, pm25: float | None) -> str:
    """What a sensor reads, with its index."""
    if pm25_corrected is not None:
        index = aqi.aqi(pm25_corrected)
        shown = "over 500" if index > 500 else str(index)
        return f"AQI {shown}, {aqi.category(index).name} ({rounded(pm25_corrected)} µg/m³)"
    return "no reading" if pm25 is None else f"reads {rounded(pm25)} µg/m³, which cannot be corrected"


def _trace(state: str, sensors: Sequence[Row], when: str) -> Figure:
    colours = [marker_colour(one["aqi"]) for one in sensors]
    marker: Figure = {"symbol": _SYMBOLS[state], "size": _SIZES[state], "color": colours}
    if state == "broken":
        marker |= {"line": {"width": 3, "color": "var:broken"}}
    elif state == "silent":
        marker |= {"color": "var:muted", "line": {"width": 2}}
    else:
        marker |= {"line": {"width": 1, "color": "var:outline"}}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": state,
        "x": [one["longitude"] for one in sensors],
        "y": [round(northing(one["latitude"]), 6) for one in sensors],
        "marker": marker,
        "text": [_hover(one, when) for one in sensors],
        "hoverinfo": "text",
        "customdata": [one["sensor"] for one in sensors],
    }


def _hover(one: Row, when: str) -> str:
    """Lines that Plotly reads as markup, so what is of others is made harmless."""
    reading = "" if one["state"] == "silent" else f"{reading_in_words(one['pm25_corrected'], one['pm25'])}, {when}"
    return "<br>".join(line for line in (title_of(one), reading, *notes_on(one)) if line)


def title_of(one: Row) -> str:
    """The first line of what a map says of a sensor."""
    return f"<b>{harmless(one['name'])}</b>"


def notes_on(one: Row) -> list[str]:
    """The last lines: its state, unless it is healthy, and why."""
    state = {
        "broken": "Broken, not counted",
        "silent": "Silent",
        "inside": "Inside a building, not counted",
        "no vote": "Has no vote now",
        "not judged": "Not judged within a week",
    }.get(one["state"], "")
    return [line for line in (state, *_wrapped(one["reason"] or "")) if line]


_HARMLESS = str.maketrans(
    {
        "<": "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}",
        ">": "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}",
        "&": "\N{FULLWIDTH AMPERSAND}",
    }
)


def harmless(text: str) -> str:
    """``text`` without what Plotly takes for markup, tags and entities: characters that look like them."""
    return text.translate(_HARMLESS)


def _wrapped(text: str, width: int = 50) -> list[str]:
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            lines.append(harmless(line))
            line = word
        else:
            line = f"{line} {word}".strip()
    return [*lines, harmless(line)] if line else lines


def _line_traces(frame: Frame) -> list[Figure]:
    width, height = frame.east - frame.west, frame.north - frame.south
    more = (AROUND - 1) / 2
    wide = Frame(
        frame.west - width * more, frame.south - height * more, frame.east + width * more, frame.north + height * more
    )
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [x for line in lines for x in (*np.round(line[:, 0], 4).tolist(), None)],
            "y": [y for line in lines for y in (*np.round(northings(line[:, 1]), 4).tolist(), None)],
            "line": {"width": _LINE_WIDTHS[kind], "color": "var:land"},
            "hoverinfo": "skip",
        }
        for kind, lines in lines_within(wide).items()
        if lines
    ]
