"""The map of a window, hour by hour."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from aqi_dagster.pipeline import aqi
from aqi_dagster.web.map_figure import Figure, map_figure, marker_colour, notes_on, reading_in_words, title_of
from aqi_dagster.web.shown import Look, Row
from aqi_dagster.windows import WINDOW_LENGTH

_HOUR = timedelta(hours=1)


def hours_map(look: Look, sensors: Sequence[Row], series: Mapping[str, Sequence[Row]], start: datetime) -> Figure:
    """A map whose colours change with the hour of the window that a slider chooses.

    ``hours`` has a text for each hour; ``steps`` for each hour and trace the colours of its sensors, as numbers of
    ``palette``, and what they read; ``titles`` and ``notes`` what stands above and below that, whatever the hour.
    """
    hours = [start + _HOUR * number for number in range(WINDOW_LENGTH // _HOUR)]
    means = {one["identity"]: _hour_means(series.get(one["identity"], []), start) for one in sensors}
    shown = [_shown(one) for one in sensors]
    figure = map_figure(shown, "")
    by_state: dict[str, list[Row]] = {}
    for one in shown:
        if one["latitude"] is not None:
            by_state.setdefault(one["state"], []).append(one)
    groups = [by_state[trace["name"]] for trace in figure["data"] if trace["mode"] == "markers"]
    figure["titles"] = [[title_of(one) for one in group] for group in groups]
    figure["notes"] = [["<br>".join(notes_on(one)) for one in group] for group in groups]
    figure["palette"] = [category.hex_colour for category in aqi.CATEGORIES] + [marker_colour(None)]
    figure["steps"] = [
        [_step([means[one["identity"]][number] for one in group]) for group in groups] for number in range(len(hours))
    ]
    figure["hours"] = [look.times.span(hour, hour + _HOUR) for hour in hours]
    figure["hours_utc"] = [f"{hour:%Y-%m-%d %H:%M} UTC" for hour in hours]
    figure["first"] = _worst_hour(means)
    return figure


def _shown(one: Row) -> Row:
    """A sensor with a state that the map knows, and no reading yet."""
    state = one["state"] if one["state"] in ("broken", "no vote") else "healthy"
    return {**one, "state": state, "pm25": None, "pm25_corrected": None, "aqi": None}


def _step(means: Sequence[tuple[float | None, float | None]]) -> Figure:
    """What sensors show in an hour in which they read ``means``."""
    return {
        "colour": [
            len(aqi.CATEGORIES) if corrected is None else aqi.CATEGORIES.index(aqi.category(aqi.aqi(corrected)))
            for _, corrected in means
        ],
        "text": [reading_in_words(corrected, pm25) for pm25, corrected in means],
    }


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


def _worst_hour(means: Mapping[str, Sequence[tuple[float | None, float | None]]]) -> int:
    """The hour with the highest median, which the slider shows first."""
    medians = []
    for number in range(WINDOW_LENGTH // _HOUR):
        values = sorted(value for hours in means.values() if (value := hours[number][1]) is not None)
        medians.append(values[len(values) // 2] if values else None)
    best = max(((value, -number) for number, value in enumerate(medians) if value is not None), default=(0.0, 0))
    return -best[1]
