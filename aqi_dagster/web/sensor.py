"""The page of a sensor: what it read, its health over time, and what people know of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby

from aqi_dagster.pipeline import aqi
from aqi_dagster.web.alert_rows import alert_rows
from aqi_dagster.web.map_figure import Figure, map_figure
from aqi_dagster.web.network import FAULTS
from aqi_dagster.web.series_figure import axis_title, local_moments
from aqi_dagster.web.shown import Look, Row, Shown, UnknownThingError
from aqi_dagster.windows import WINDOW_LENGTH, window_start

STEPS = {2: timedelta(minutes=10), 14: timedelta(hours=1), 90: timedelta(hours=6)}
"""Days that the page may show, and the time between two points then."""

LONGEST_GAP = 4
"""Steps without a reading that are still joined."""

_SENSOR = "SELECT * FROM sensors WHERE sensor = $sensor"

_SENSORS = "SELECT sensor FROM sensors"

_SERIES = """
SELECT
    time_bucket($step, created_at) AS moment,
    count(*) AS readings,
    avg(pm25_cf1) AS pm25,
    avg(pm25_cf1_b) AS pm25_second_laser,
    avg(pm25_corrected) AS pm25_corrected
FROM corrected_readings
WHERE sensor = $sensor AND window_start BETWEEN $first AND $last AND NOT repeated
GROUP BY moment
ORDER BY moment
"""

_HEALTH = """
SELECT
    window_start, region, hours, mean_pm25, corrected_pm25, neighbours_pm25, fault, reason, known_trouble, is_local,
    unlike_neighbours OR is_new OR on_probation OR in_dispute AS no_vote
FROM sensor_health
WHERE sensor = $sensor AND window_start BETWEEN $first AND $last
ORDER BY window_start
"""

_MARKS = "SELECT kind, since, until, reason, recorded_at FROM known_trouble WHERE sensor = $sensor ORDER BY recorded_at"

_LABELS = (
    "SELECT window_start, truth, judged, note, labelled_at FROM labels WHERE sensor = $sensor ORDER BY labelled_at"
)


def sensor(look: Look, token: str, days: int = 14, until: datetime | None = None) -> Shown:
    """What the page shows of a sensor in ``days`` up to the window ``until``, or up to its last reading."""
    identity = _identity(look, token)
    about = look.rows(_SENSOR, sensor=identity)[0]
    last = window_start(until or about["last_reading"])
    first = window_start(last - timedelta(days=days) + WINDOW_LENGTH)
    series = look.rows(_SERIES, step=STEPS[days], sensor=identity, first=first, last=last)
    health = [_health(look, row) for row in look.rows(_HEALTH, sensor=identity, first=first, last=last)]
    newest = health[-1] if health else None
    facts = _facts(look, token, about, newest)
    return Shown(
        facts["name"],
        facts,
        {
            "series": series,
            "health": health,
            "known_trouble": [_mark(look, row) for row in look.rows(_MARKS, sensor=identity)],
            "labels": [_mark(look, row) for row in look.rows(_LABELS, sensor=identity)],
            "alerts": alert_rows(look, subject=identity, most=20),
        },
        {"series": _figure(look, series, health, STEPS[days]), "map": _map(facts, newest)},
        {
            "days": days,
            "choices_of_days": list(STEPS),
            "earlier": first - WINDOW_LENGTH,
            "later": min(last + timedelta(days=days), about["last_reading"]) if until else None,
            "strip": health,
            "spells": _spells(health),
            "state": _state_in_words(newest, about["location_type"] == 1),
            "faults": FAULTS,
        },
    )


def _facts(look: Look, token: str, about: Row, newest: Row | None) -> Row:
    """What is known of the sensor at all, and of its last window."""
    place = look.places.place(about["sensor"])
    return {
        "sensor": token,
        "name": look.places.label(about["sensor"], about["name"]),
        "latitude": place[0] if place else None,
        "longitude": place[1] if place else None,
        "sensor_index": about["sensor_index"] if look.places.decimals is None else None,
        "is_inside": about["location_type"] == 1,
        "first_reading": about["first_reading"],
        "last_reading": about["last_reading"],
        "readings": about["readings"],
        "region": newest["region"] if newest else None,
        "fault": newest["fault"] if newest else None,
        "reason": newest["reason"] if newest else None,
    }


def _identity(look: Look, token: str) -> str:
    if look.places.decimals is None:
        if look.rows(_SENSOR, sensor=token):
            return token
    else:
        found = look.places.sensor_of(token, (row["sensor"] for row in look.rows(_SENSORS)))
        if found is not None:
            return found
    raise UnknownThingError(f"No sensor “{token}” ever reported here.")


def _health(look: Look, row: Row) -> Row:
    row = dict(row)
    state = (
        "broken"
        if row["fault"]
        else "local"
        if row["is_local"]
        else "not judged"
        if row["region"] is None or row["hours"] < 6
        else "no vote"
        if row["no_vote"]
        else "healthy"
    )
    for name in ("reason", "known_trouble"):
        row[name] = look.places.text(row[name]) if row[name] else None
    return {"window_start": row.pop("window_start"), "state": state, **row}


def _mark(look: Look, row: Row) -> Row:
    return {name: look.places.text(value) if isinstance(value, str) else value for name, value in row.items()}


def _spells(health: Sequence[Row]) -> list[Row]:
    """Unbroken series of windows with the same fault, the newest first, each with the reason of its last window."""
    spells = []
    for fault, group in groupby(health, key=lambda row: row["fault"]):
        rows = list(group)
        if fault:
            spells.append(
                {
                    "fault": fault,
                    "first_window": rows[0]["window_start"],
                    "end": rows[-1]["window_start"] + WINDOW_LENGTH,
                    "last_window": rows[-1]["window_start"],
                    "windows": len(rows),
                    "reason": rows[-1]["reason"],
                    "region": rows[-1]["region"],
                }
            )
    return spells[::-1]


def _state_in_words(newest: Row | None, is_inside: bool) -> str:
    if is_inside:
        return "It is inside a building: scored, but not counted."
    if newest is None:
        return "It was not judged in this time."
    words = {
        "broken": "Broken, and not counted, in its last window.",
        "local": "It read far more than the others in its last window, and is believed: perhaps a fire beside it.",
        "not judged": "It was not judged in its last window.",
        "no vote": "It had no vote in its last window.",
        "healthy": "Healthy in its last window.",
    }
    return words[newest["state"]]


def _figure(look: Look, series: Sequence[Row], health: Sequence[Row], step: timedelta) -> Figure:
    offset = look.times.offset_of(series[-1]["moment"] if series else look.times.now)
    lines = [
        ("as EPA corrects it", "pm25_corrected", {"color": "var:healthy", "width": 2}),
        ("as it reads", "pm25", {"color": "var:muted", "width": 1}),
        ("its second laser", "pm25_second_laser", {"color": "#CC79A7", "width": 1, "dash": "dot"}),
    ]
    traces = [
        _trace(name, *_with_gaps(series, column, step), style, offset)
        for name, column, style in lines
        if any(row[column] is not None for row in series)
    ]
    near = [row for row in health if row["neighbours_pm25"] is not None]
    if near:
        middle = [row["window_start"] + WINDOW_LENGTH / 2 for row in near]
        style = {"color": "var:ink", "width": 2, "dash": "dash"}
        traces.append(_trace("its neighbours read", middle, [row["neighbours_pm25"] for row in near], style, offset))
    return {
        "data": traces,
        "layout": {
            "xaxis": {"title": {"text": axis_title(offset)}, "type": "date"},
            "yaxis": {"title": {"text": "PM2.5, µg/m³"}, "rangemode": "tozero"},
            "hovermode": "x unified",
            "showlegend": True,
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "margin": {"l": 55, "r": 10, "t": 10, "b": 45},
        },
    }


def _trace(
    name: str, moments: Sequence[datetime], values: Sequence[float | None], style: Figure, offset: timedelta
) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": local_moments(moments, offset),
        "y": [None if value is None else round(value, 1) for value in values],
        "line": style,
    }


def _with_gaps(series: Sequence[Row], column: str, step: timedelta) -> tuple[list[datetime], list[float | None]]:
    moments: list[datetime] = []
    values: list[float | None] = []
    for row in series:
        if moments and row["moment"] - moments[-1] > LONGEST_GAP * step:
            moments.append(moments[-1] + step)
            values.append(None)
        moments.append(row["moment"])
        values.append(row[column])
    return moments, values


def _map(facts: Row, newest: Row | None) -> Figure:
    corrected = newest["corrected_pm25"] if newest else None
    one = {
        **facts,
        "state": "broken" if facts["fault"] else "inside" if facts["is_inside"] else "healthy",
        "pm25": newest["mean_pm25"] if newest else None,
        "pm25_corrected": corrected,
        "aqi": None if corrected is None else aqi.aqi(corrected),
    }
    return map_figure([one], "mean of its last window")
