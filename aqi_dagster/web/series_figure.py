"""PM2.5 of sensors over time as a figure of Plotly, to zoom and to hover over."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from aqi_dagster.web.map_figure import Figure, harmless
from aqi_dagster.web.shown import Row
from aqi_dagster.web.times import Times

HIGHEST_DRAWN = 40
"""Sensors without trouble that are drawn one by one: those with the highest readings."""

TROUBLED_DRAWN = 12
"""Sensors with trouble that have a colour and a name each."""

LONGEST_GAP = timedelta(hours=1, minutes=30)
"""Readings that are farther apart are not joined."""

SMOKE_LEVEL = 35.5
"""Level from which on the network rules may say smoke, ug/m3, EPA-corrected."""

ANOMALY_PM25 = 50.0
"""What an anomaly has to exceed by default, ug/m3, as sensors read."""

# Okabe and Ito's palette, which colour-blind people can tell apart.
_COLOURS = ["#D55E00", "#CC79A7", "#E69F00", "#56B4E9", "#009E73", "#F0E442"]
_DASHES = ["solid", "dash"]


@dataclass(frozen=True)
class SensorSeries:
    """The readings of a sensor in order of time: rows with ``moment``, ``pm25`` and ``pm25_corrected``."""

    name: str
    token: str
    state: str
    rows: Sequence[Row]

    def values(self, as_read: bool) -> list[float | None]:
        """What is drawn: as the sensor reads, or as EPA corrects that, where it can be."""
        if as_read:
            return [row["pm25"] for row in self.rows]
        return [row["pm25"] if row["pm25_corrected"] is None else row["pm25_corrected"] for row in self.rows]


def series_figure(
    times: Times,
    sensors: Sequence[SensorSeries],
    level: Sequence[Row],
    shown: tuple[datetime, datetime],
    as_read: bool,
) -> Figure:
    """All sensors' PM2.5, the level of the region, and the threshold; the time ``shown`` stands out."""
    offset = times.offset_of(shown[0])
    reporting = [one for one in sensors if one.rows]
    troubled = sorted((one for one in reporting if one.state == "broken"), key=_highest, reverse=True)
    named, others = troubled[:TROUBLED_DRAWN], [one for one in reporting if one.state != "broken"]
    others = sorted([*others, *troubled[TROUBLED_DRAWN:]], key=_highest, reverse=True)
    traces = [
        _line(one, offset, as_read, {"color": "var:healthy", "width": 1}, "healthy") for one in others[:HIGHEST_DRAWN]
    ]
    for number, one in enumerate(named):
        style = {"color": _COLOURS[number % len(_COLOURS)], "dash": _DASHES[number // len(_COLOURS)], "width": 2}
        traces.append(_line(one, offset, as_read, style, "broken"))
    if level and not as_read:
        traces.append(_level(level, offset))
    healthy = [one for one in reporting if one.state != "broken"]
    return {
        "data": traces,
        "layout": {
            "xaxis": {"title": {"text": axis_title(offset)}, "type": "date"},
            "yaxis": {"title": {"text": _title(as_read)}, "range": [0, _top(healthy or reporting, as_read)]},
            "shapes": [_band(shown, offset), _threshold(as_read)],
            "hovermode": "closest",
            "showlegend": False,
            "margin": {"l": 55, "r": 10, "t": 10, "b": 45},
        },
    }


def axis_title(offset: timedelta) -> str:
    """What an axis of local time is called."""
    hours = offset / timedelta(hours=1)
    return "time (UTC)" if not hours else f"local time (UTC{hours:+g} h)"


def local_moments(moments: Sequence[datetime], offset: timedelta) -> list[str]:
    """Moments as an axis of local time takes them."""
    return [(moment + offset).isoformat(timespec="seconds") for moment in moments]


def _line(one: SensorSeries, offset: timedelta, as_read: bool, style: dict[str, Any], group: str) -> Figure:
    moments, values = _with_gaps([row["moment"] for row in one.rows], one.values(as_read))
    return {
        "type": "scatter",
        "mode": "lines" if len(values) > 1 else "markers",
        "name": harmless(one.name),
        "x": local_moments(moments, offset),
        "y": [None if value is None else round(value, 1) for value in values],
        "line": style,
        "opacity": 0.55 if group == "healthy" else 1,
        "customdata": one.token,
        "hovertemplate": f"<b>{_template(one.name)}</b>{'' if group == 'healthy' else ' (broken)'}<br>"
        "%{y:,.0f} µg/m³, %{x|%a %d %b %H:%M}<extra></extra>",
    }


def _level(level: Sequence[Row], offset: timedelta) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "level of the region",
        "x": local_moments([row["hour"] + timedelta(minutes=30) for row in level], offset),
        "y": [round(row["level"], 1) for row in level],
        "line": {"color": "var:ink", "width": 3},
        "marker": {"size": 5, "color": "var:ink"},
        "hovertemplate": "<b>Level of the region</b><br>%{y:,.1f} µg/m³, hour of %{x|%a %d %b %H:%M}<extra></extra>",
    }


def _with_gaps(
    moments: Sequence[datetime], values: Sequence[float | None]
) -> tuple[list[datetime], list[float | None]]:
    spaced: list[datetime] = []
    heights: list[float | None] = []
    for moment, value in zip(moments, values, strict=True):
        if spaced and moment - spaced[-1] > LONGEST_GAP:
            spaced.append(spaced[-1] + timedelta(minutes=1))
            heights.append(None)
        spaced.append(moment)
        heights.append(value)
    return spaced, heights


def _highest(one: SensorSeries) -> float:
    return max((row["pm25"] for row in one.rows), default=0.0)


def _top(sensors: Sequence[SensorSeries], as_read: bool) -> float:
    """The upper end of the axis: what the air needs, not what a broken sensor does."""
    values = [value for one in sensors for value in one.values(as_read) if value is not None]
    return max(float(np.quantile(values, 0.999)) * 1.15 if values else 0.0, 60.0)


def _title(as_read: bool) -> str:
    return "PM2.5 as sensors read (CF=1), µg/m³" if as_read else "PM2.5, EPA-corrected, µg/m³"


def _band(shown: tuple[datetime, datetime], offset: timedelta) -> Figure:
    first, last = local_moments(shown, offset)
    return {
        "type": "rect",
        "xref": "x",
        "yref": "paper",
        "x0": first,
        "x1": last,
        "y0": 0,
        "y1": 1,
        "layer": "below",
        "fillcolor": "var:band",
        "line": {"width": 0},
    }


def _threshold(as_read: bool) -> Figure:
    height = ANOMALY_PM25 if as_read else SMOKE_LEVEL
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": height,
        "y1": height,
        "line": {"color": "var:ink", "width": 1.5, "dash": "dot"},
        "label": {
            "text": f"{height:g} µg/m³: " + ("what an anomaly exceeds" if as_read else "level of smoke"),
            "textposition": "start",
            "yanchor": "bottom",
            "font": {"size": 11, "color": "var:ink"},
        },
    }


def _template(text: str) -> str:
    """A name within a template, where braces after a percent sign would be a variable."""
    return harmless(text).replace("%{", "%\N{ZERO WIDTH SPACE}{")
