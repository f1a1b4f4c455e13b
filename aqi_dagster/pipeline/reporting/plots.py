"""Pictures of a window for people: PM2.5 of a region's sensors, and the scores of the most anomalous ones.

They are PNG files, drawn without any window system. Times are UTC. Each sensor with anomalies has a colour of its own,
from a palette that colour-blind people can distinguish; all others are grey.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aqi_dagster.message_fields import MOST_MASS
from aqi_dagster.pipeline.detection.anomalies import Thresholds
from aqi_dagster.pipeline.numbers import rounded
from aqi_dagster.pipeline.reporting.series import Series
from aqi_dagster.pipeline.verdicts.regional_window import RegionalWindow
from aqi_dagster.sensors import devices
from aqi_dagster.windows import WINDOW_LENGTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_NAMED = 12
"""Sensors that have a colour and a name in a picture."""

MAX_GREY = 40
"""Other sensors that are drawn in grey: those with the highest PM2.5."""

MAX_BYTES = 60_000
"""Greatest size of a picture, which stays in Dagster's event log for ever; a larger one is scaled down."""

_INK, _GREY, _GRID, _FAINT = "#222222", "#b0b0b0", "#dddddd", "#eeeeee"
# Okabe and Ito's palette without black and yellow, first as solid lines, then dashed.
_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
_STYLES = [(colour, style) for style in ("-", "--") for colour in _COLOURS]

_BROKEN_STYLES = [(colour, style) for style in ("-", "--") for colour in _COLOURS[1:]]
"""Blue is for healthy sensors."""

_LONGEST_GAP = np.timedelta64(1, "h")
"""Readings that are farther apart are not joined by a line."""

_PM25_LABEL = "PM2.5 (CF=1), \N{MICRO SIGN}g/m\N{SUPERSCRIPT THREE}"
_PM25_TICKS = [0, 25, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000]

# As wide as the dialog in which Dagster shows it, and whole pixels: 4.6 inches are a little less than 460.
_INCHES, _DPI = (8.6, 4.62), 100
_SHADES = (1.0, 0.75, 0.5, 0.25)
_LEGEND_COLUMNS = 4


def plot_region(window: RegionalWindow, series: Sequence[Series], thresholds: Thresholds) -> bytes:
    """PM2.5 of the region's sensors (``series``, most anomalous first) over ``window`` and the one before, as PNG."""
    figure = _figure()
    axes = figure.add_subplot()
    by_health = window.rules == "network"
    if by_health:
        _draw_by_health(axes, window, series)
    else:
        _draw(axes, series, _drawn_pm25)
    _pm25_axis(axes, thresholds)
    found = _level_in_words(window) if by_health else _anomalies_in_words(window)
    _finish(figure, window.window_start, f"{window.verdict.capitalize()} in {window.region}: {found}")
    return _png(figure)


def plot_scores(start: datetime, series: Sequence[Series], thresholds: Thresholds) -> bytes:
    """Score and PM2.5 of the most anomalous sensors over the window from ``start`` and the one before, as PNG."""
    figure = _figure()
    upper, lower = figure.subplots(2, 1, sharex=True)
    anomalous = [one for one in series if one.anomalies][:MAX_NAMED]
    _draw(upper, anomalous, lambda one: one.scores)
    upper.axhline(thresholds.score, color=_INK, linewidth=0.8, linestyle=":")
    upper.set(ylim=(-0.03, 1.03), ylabel="score, 0 to 1")
    _draw(lower, anomalous, _drawn_pm25)
    _pm25_axis(lower, thresholds)
    # Both plots share the time axis of the lower one.
    upper.xaxis.set_visible(False)
    _finish(figure, start, "Score and PM2.5 of the sensors with most anomalies")
    return _png(figure)


def _figure() -> "Figure":
    # Imported here, because that takes half a second, and most windows have no plot.
    from matplotlib.figure import Figure

    return Figure(figsize=_INCHES, dpi=_DPI)


def _draw(axes: "Axes", series: Sequence[Series], values: Callable[[Series], NDArray[np.float64]]) -> None:
    """Draw the most anomalous of ``series`` in colours with their names, and the highest of the others in grey."""
    anomalous = [one for one in series if one.anomalies][:MAX_NAMED]
    names = {one.sensor for one in anomalous}
    others = [one for one in series if one.sensor not in names]
    if others:
        highest = sorted(others, key=lambda one: -one.pm25.max())[:MAX_GREY]
        lines = [_with_gaps(one.times, values(one)) for one in highest]
        times, heights = (np.concatenate(parts) for parts in zip(*lines, strict=True))
        count = len(devices(one.sensor for one in others))
        label = f"{count} other sensor{'' if count == 1 else 's'}"
        if len(highest) < len(others):
            label += f" (the {MAX_GREY} highest)"
        axes.plot(times, heights, color=_GREY, linewidth=0.7, antialiased=False, label=label, zorder=1)
        _mark(axes, highest, values, _GREY, zorder=1)
    for one, (colour, style) in zip(anomalous, _STYLES, strict=False):
        axes.plot(*_with_gaps(one.times, values(one)), color=colour, linestyle=style, linewidth=1.2, label=one.sensor)
        _mark(axes, [one], values, colour, zorder=3)


def _draw_by_health(axes: "Axes", window: RegionalWindow, series: Sequence[Series]) -> None:
    """Draw the healthy sensors in one colour, each broken one in its own with its name, the others in grey; the level.

    The level is corrected as EPA does, unlike what the sensors read.
    """
    healthy, faulty = set(window.healthy_sensors or []), set(window.broken_sensors or [])
    broken = [one for one in series if one.sensor in faulty]
    good = [one for one in series if one.sensor in healthy]
    others = [one for one in series if one.sensor not in healthy | faulty]
    unnamed = [*others, *broken[len(_BROKEN_STYLES) :]]
    for group, colour, label in ((unnamed, _GREY, "other"), (good, _COLOURS[0], "healthy")):
        if group:
            lines = [_with_gaps(one.times, _drawn_pm25(one)) for one in group]
            times, heights = (np.concatenate(parts) for parts in zip(*lines, strict=True))
            text = f"{len(group)} {label} sensor{'' if len(group) == 1 else 's'}"
            axes.plot(times, heights, color=colour, linewidth=0.7, antialiased=False, label=text, zorder=2)
            _mark(axes, group, _drawn_pm25, colour, zorder=2)
    for one, (colour, style) in zip(broken, _BROKEN_STYLES, strict=False):
        line = _with_gaps(one.times, _drawn_pm25(one))
        axes.plot(*line, color=colour, linestyle=style, linewidth=1.2, label=f"broken: {one.sensor}", zorder=3)
        _mark(axes, [one], _drawn_pm25, colour, zorder=3)
    if window.level is not None:
        span = [window.window_start, window.window_end]
        level = [min(window.level, MOST_MASS)] * 2
        axes.plot(span, level, color=_INK, linewidth=2.5, label="level, corrected", zorder=4)  # type: ignore[arg-type]


def _anomalies_in_words(window: RegionalWindow) -> str:
    anomalies = f"{window.count_anomalies} anomal{'y' if window.count_anomalies == 1 else 'ies'}"
    return f"{anomalies} of {window.count_sensors} sensor{'' if window.count_sensors == 1 else 's'}"


def _level_in_words(window: RegionalWindow) -> str:
    level = "no level" if window.level is None else f"level {rounded(window.level)}"
    healthy, broken = len(window.healthy_sensors or []), len(window.broken_sensors or [])
    return f"{level}, {healthy} healthy and {broken} broken sensors"


def _drawn_pm25(one: Series) -> NDArray[np.float64]:
    """What the axis can show of the values: releases before 0.2 stored what no number line holds."""
    return np.clip(one.pm25, -MOST_MASS, MOST_MASS)


def _mark(
    axes: "Axes", series: Sequence[Series], values: Callable[[Series], NDArray[np.float64]], colour: str, zorder: int
) -> None:
    """Draw a dot at each anomaly."""
    times = np.concatenate([one.times[one.anomalous] for one in series])
    heights = np.concatenate([values(one)[one.anomalous] for one in series])
    axes.plot(times, heights, linestyle="", marker="o", markersize=6, color=colour, zorder=zorder)


def _with_gaps(
    times: NDArray[np.datetime64], values: NDArray[np.float64]
) -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
    """The points of a line through the readings, with a break at each long gap and at its end."""
    breaks = np.append(np.flatnonzero(np.diff(times) > _LONGEST_GAP) + 1, len(times))
    return np.insert(times, breaks, np.datetime64("NaT")), np.insert(values, breaks, np.nan)


def _pm25_axis(axes: "Axes", thresholds: Thresholds) -> None:
    """Make the axis linear up to the threshold, logarithmic beyond: broken sensors exceed clean air a hundredfold."""
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    axes.axhline(thresholds.pm25, color=_INK, linewidth=0.8, linestyle=":")
    top = max(axes.dataLim.y1, thresholds.pm25)
    axes.set_yscale("symlog", linthresh=max(thresholds.pm25, 1.0))
    axes.yaxis.set_major_locator(FixedLocator([tick for tick in _PM25_TICKS if tick <= top * 1.4]))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set(ylim=(min(axes.dataLim.y0, -2), top * 1.4), ylabel=_PM25_LABEL)


def _finish(figure: "Figure", start: datetime, title: str) -> None:
    """Add the title, the time axis, a shade over the window before, and the legend below."""
    from matplotlib.dates import HourLocator, num2date
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter

    end = start + WINDOW_LENGTH
    for axes in figure.axes:
        axes.axvspan(start - WINDOW_LENGTH, start, color=_FAINT, zorder=0)  # type: ignore[arg-type]
        axes.grid(axis="y", color=_GRID, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(start - WINDOW_LENGTH, end)  # type: ignore[arg-type]
    last = figure.axes[-1]
    last.xaxis.set_major_locator(HourLocator(byhour=range(0, 24, 3)))

    def tick_label(day: float, place: int | None) -> str:
        moment = num2date(day)
        return f"{moment:%H:%M\n%Y-%m-%d}" if place == 0 or moment.hour == 0 else f"{moment:%H:%M}"

    last.xaxis.set_major_formatter(FuncFormatter(tick_label))
    last.set_xlabel("time, UTC")
    span = f"window {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
    # A region's name may hold dollar signs, between which Matplotlib would look for formulas.
    figure.axes[0].set_title(f"{title}\n{span}", fontsize=11, y=1.01, parse_math=False)
    handles: list[Any] = [line for line in last.get_lines() if not str(line.get_label()).startswith("_")]
    handles.append(Line2D([], [], linestyle="", marker="o", markersize=6, color=_INK, label="anomaly"))
    handles.append(Line2D([], [], linestyle=":", color=_INK, label="threshold"))
    left, right, bottom = 0.085, 0.94, 0.15 + 0.04 * -(-len(handles) // _LEGEND_COLUMNS)
    # Margins and the places of title and label are fixed: computing them takes Matplotlib as long as all the rest.
    figure.subplots_adjust(left=left, right=right, top=0.89, bottom=bottom, hspace=0.08)
    last.xaxis.set_label_coords((left + right) / 2, bottom - 0.085, figure.transFigure)
    figure.legend(handles=handles, loc="lower center", ncols=_LEGEND_COLUMNS, fontsize=8, frameon=False)


def _png(figure: "Figure") -> bytes:
    """The picture as PNG, in so few colours that it has a third of its size."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    palette = Image.new("P", (1, 1))
    palette.putpalette(_palette())
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    for size in (1.0, 0.75, 0.5):
        file = BytesIO()
        smaller = picture.resize((round(picture.width * size), round(picture.height * size))) if size < 1 else picture
        smaller.quantize(palette=palette, dither=Image.Dither.NONE).save(file, "PNG")
        if file.tell() <= MAX_BYTES:
            break
    return file.getvalue()


def _palette() -> list[int]:
    """Red, green and blue of every colour that is drawn, and of its shades where an edge is smoothed."""
    plain = [_rgb(colour) for colour in ("#ffffff", _GREY, _GRID, _FAINT)]
    shades = [255 + (_rgb(colour) - 255) * shade for colour in (_INK, *_COLOURS) for shade in _SHADES]
    palette: list[int] = np.round(np.concatenate([*plain, *shades])).astype(int).tolist()
    return palette


def _rgb(colour: str) -> NDArray[np.int_]:
    return np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)])
