"""The map of a window, hour by hour."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from aqi_dagster.pipeline import aqi
from aqi_dagster.web.map_figure import Figure, map_figure
from aqi_dagster.web.shown import Look, Row
from aqi_dagster.windows import WINDOW_LENGTH

_HOUR = timedelta(hours=1)


def hours_map(look: Look, sensors: Sequence[Row], series: Mapping[str, Sequence[Row]], start: datetime) -> Figure:
    """A map whose colours change with the hour of the window that a slider chooses.

    ``hours`` has a text for each hour; ``steps`` for each trace and hour the colours and texts of its sensors.
    """
    hours = [start + _HOUR * number for number in range(WINDOW_LENGTH // _HOUR)]
    means = {one["identity"]: _hour_means(series.get(one["identity"], []), start) for one in sensors}
    rows = [[_at(one, means[one["identity"]][number]) for one in sensors] for number in range(len(hours))]
    figure = map_figure(rows[0], "")
    by_hour = [_colours_and_texts(map_figure(those, "")) for those in rows]
    figure["hours"] = [look.times.span(hour, hour + _HOUR) for hour in hours]
    figure["hours_utc"] = [f"{hour:%Y-%m-%d %H:%M} UTC" for hour in hours]
    figure["steps"] = by_hour
    figure["first"] = _worst_hour(means)
    return figure


def _hour_means(rows: Sequence[Row], start: datetime) -> list[tuple[float | None, float | None]]:
    """For each hour the mean of what a sensor read, and as EPA corrects it."""
    sums: list[list[Row]] = [[] for _ in range(WINDOW_LENGTH // _HOUR)]
    for row in rows:
        if start <= row["moment"] < start + WINDOW_LENGTH:
            sums[(row["moment"] - start) // _HOUR].append(row)
    return [
        (
            sum(row["pm25"] for row in hour) / len(hour) if hour else None,
            _mean([row["pm25_corrected"] for row in hour if row["pm25_corrected"] is not None]),
        )
        for hour in sums
    ]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _at(one: Row, mean: tuple[float | None, float | None]) -> Row:
    pm25, corrected = mean
    state = one["state"] if one["state"] in ("broken", "no vote") else "healthy"
    return {
        **one,
        "state": state,
        "pm25": pm25,
        "pm25_corrected": corrected,
        "aqi": None if corrected is None else aqi.aqi(corrected),
    }


def _colours_and_texts(figure: Figure) -> list[Figure]:
    markers = [trace for trace in figure["data"] if trace["mode"] == "markers"]
    return [{"color": trace["marker"]["color"], "text": trace["text"]} for trace in markers]


def _worst_hour(means: Mapping[str, Sequence[tuple[float | None, float | None]]]) -> int:
    """The hour with the highest median, which the slider shows first."""
    medians = []
    for number in range(WINDOW_LENGTH // _HOUR):
        values = sorted(value for hours in means.values() if (value := hours[number][1]) is not None)
        medians.append(values[len(values) // 2] if values else None)
    best = max(((value, -number) for number, value in enumerate(medians) if value is not None), default=(0.0, 0))
    return -best[1]
