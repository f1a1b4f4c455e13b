"""A picture of sensors' health over time: a row a sensor, a column a window, a colour a fault. Times are UTC."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from duckdb import DuckDBPyConnection

from aqi_dagster.windows import WINDOW_LENGTH, WindowRange

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = timedelta(days=28)
"""Time up to the newest window that a picture shows."""

MAX_SENSORS = 40
"""Sensors that a picture shows: those with most faults first, then those without a vote most often."""

COLOURS = {
    "healthy": "#cfe8d5",
    "no vote": "#f0e442",
    "local": "#000000",
    "disagree": "#cc79a7",
    "impossible": "#7b1fa2",
    "flat": "#d55e00",
    "stuck": "#e69f00",
    "dead": "#56606b",
    "low": "#56b4e9",
    "high": "#b3261e",
    "known": "#0072b2",
    "too few hours, or not judged": "#dddddd",
}
"""The colour of each state, in the order of the legend; white is a window without readings."""

_INCHES, _DPI, _ROW = 8.6, 100, 0.19
_NAME_LENGTH = 32
_LEGEND_COLUMNS = 5

_STATES = """
WITH states AS (
    SELECT
        sensor,
        window_start,
        CASE
            WHEN fault IS NOT NULL THEN fault
            WHEN is_local THEN 'local'
            WHEN region IS NULL OR hours < 6 THEN 'too few hours, or not judged'
            WHEN is_new OR on_probation OR in_dispute OR unlike_neighbours THEN 'no vote'
            ELSE 'healthy'
        END AS state
    FROM sensor_health
    WHERE window_start BETWEEN $first AND $last
), ranked AS (
    SELECT
        sensor,
        row_number() OVER (
            ORDER BY
                count(*) FILTER (state NOT IN ('healthy', 'no vote', 'too few hours, or not judged')) DESC,
                count(*) FILTER (state = 'no vote') DESC,
                sensor
        ) AS place
    FROM states
    GROUP BY sensor
)
SELECT sensor, window_start, state, (SELECT count(*) FROM ranked)
FROM states
JOIN ranked USING (sensor)
WHERE place <= $most
ORDER BY place, window_start
"""


@dataclass(frozen=True)
class HealthHistory:
    """What is shown: the state of each sensor by window (start), the sensors to be looked at first in front.

    ``left_out`` is how many sensors there are besides.
    """

    windows: WindowRange
    states: dict[str, dict[datetime, str]]
    left_out: int = 0


def health_history(connection: DuckDBPyConnection, newest: datetime) -> HealthHistory | None:
    """The states up to the window ``newest`` (start), of sensors with most faults; None if there are none."""
    parameters = {"first": newest - SHOWN + WINDOW_LENGTH, "last": newest, "most": MAX_SENSORS}
    rows = connection.execute(_STATES, parameters).fetchall()
    if not rows:
        return None
    states: dict[str, dict[datetime, str]] = {}
    for sensor, start, state, _ in rows:
        states.setdefault(sensor, {})[start] = state
    first = min(min(of_sensor) for of_sensor in states.values())
    return HealthHistory(WindowRange(first, newest), states, rows[0][-1] - len(states))


def plot_health(history: HealthHistory) -> bytes:
    """The picture as PNG."""
    # Imported here, because that takes half a second, and most runs of other assets draw nothing.
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    present = {state for of_sensor in history.states.values() for state in of_sensor.values()}
    handles = [Patch(facecolor=COLOURS[state], label=state) for state in COLOURS if state in present]
    legend = 0.2 * -(-len(handles) // _LEGEND_COLUMNS) + 0.12
    handles.append(Patch(facecolor="#ffffff", edgecolor="#bbbbbb", label="no readings"))
    height = _ROW * len(history.states) + legend + 0.75
    figure = Figure(figsize=(_INCHES, height), dpi=_DPI)
    axes = figure.add_axes((0.27, (legend + 0.32) / height, 0.71, _ROW * len(history.states) / height))
    axes.imshow(_grid(history), aspect="auto", interpolation="nearest")
    axes.set_yticks(range(len(history.states)), [_short(sensor) for sensor in history.states], fontsize=7)
    _label_windows(axes, history.windows)
    more = f"; {history.left_out} more sensors are left out" if history.left_out else ""
    span = f"{history.windows.first:%Y-%m-%d} to {history.windows.end:%Y-%m-%d %H:%M} UTC"
    axes.set_title(f"Health of sensors, {span}{more}", fontsize=10)
    figure.legend(handles=handles, loc="lower center", ncols=_LEGEND_COLUMNS, fontsize=8, frameon=False)
    return _png(figure)


def _grid(history: HealthHistory) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Red, green and blue of each sensor and window; white where there were no readings."""
    grid = np.full((len(history.states), len(history.windows), 3), 255, np.uint8)
    for row, of_sensor in enumerate(history.states.values()):
        for start, state in of_sensor.items():
            colour = COLOURS[state]
            column = (start - history.windows.first) // WINDOW_LENGTH
            grid[row, column] = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    return grid


def _label_windows(axes: "Axes", windows: WindowRange) -> None:
    """A date below each window that begins one, as many as there is room for, and thin lines between the cells."""
    starts = [*windows]
    days = [number for number, start in enumerate(starts) if start.hour == 0]
    ticks = days[:: max(1, -(-len(days) // 10))] or [0]
    axes.set_xticks(ticks, [f"{starts[number]:%m-%d}" for number in ticks], fontsize=8)
    axes.set_xticks(np.arange(len(starts) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(axes.get_ylim()[0] + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="#ffffff", linewidth=0.6)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)


def _short(sensor: str) -> str:
    line = " ".join(sensor.split())
    return line if len(line) <= _NAME_LENGTH else f"{line[: _NAME_LENGTH - 1]}…"


def _png(figure: "Figure") -> bytes:
    """The picture as PNG, in so few colours that it stays small."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    file = BytesIO()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    picture.quantize(64, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()
