"""The page of a window: the verdict and why, all sensors' series, the map hour by hour, and what was told."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from aqi_dagster.pipeline import aqi
from aqi_dagster.pipeline.alerts.wording import reason, surroundings, title
from aqi_dagster.pipeline.numbers import counted, rounded
from aqi_dagster.pipeline.verdicts.regional_window import RegionalWindow
from aqi_dagster.web.alert_rows import alert_rows
from aqi_dagster.web.hours_map import hours_map
from aqi_dagster.web.series_figure import HIGHEST_DRAWN, SensorSeries, series_figure
from aqi_dagster.web.shown import Look, Row, Shown, UnknownThingError
from aqi_dagster.windows import WINDOW_LENGTH, window_key

AROUND = timedelta(hours=6)
"""Shown before and after the window."""

FINE_SENSORS = 60
"""With more sensors their series are of hours instead of ten minutes."""

TROUBLE_SHOWN = 50

_WINDOW = f"""
SELECT {", ".join(field.name for field in fields(RegionalWindow))}
FROM regional_windows
WHERE region = $region AND window_start = $start
"""  # noqa: S608 (names of columns)

_RUN = """
SELECT readings, scored, classified, revision,
    scored IS NOT NULL AND scored < readings AS has_late_readings,
    classified IS NOT NULL AND classified IS DISTINCT FROM revision AS is_outdated
FROM windows
WHERE window_start = $start
"""

_HEALTH = """
SELECT
    sensor, hours, mean_pm25, max_hour_pm25, corrected_pm25, neighbours_pm25, fault, is_local, reason,
    unlike_neighbours OR is_new OR on_probation OR in_dispute AS no_vote
FROM sensor_health
WHERE region = $region AND window_start = $start
ORDER BY sensor
"""

_NEAREST_HEALTH = """
SELECT
    sensor, NULL AS hours, NULL AS mean_pm25, NULL AS max_hour_pm25, NULL AS corrected_pm25, NULL AS neighbours_pm25,
    arg_max_null(fault, window_start) AS fault, false AS is_local, arg_max_null(reason, window_start) AS reason,
    false AS no_vote
FROM sensor_health
WHERE region = $region AND window_start BETWEEN $start - INTERVAL 7 DAYS AND $start
GROUP BY sensor
ORDER BY sensor
"""

_NAMES = "SELECT sensor, name FROM sensors WHERE sensor IN (SELECT unnest($sensors))"

_SERIES = """
SELECT
    sensor,
    time_bucket($step, created_at) AS moment,
    avg(pm25_cf1) AS pm25,
    max(pm25_cf1) AS highest,
    avg(pm25_corrected) AS pm25_corrected
FROM corrected_readings
WHERE window_start BETWEEN $first_window AND $last_window AND created_at >= $begin AND created_at < $end
    AND NOT repeated AND sensor IN (SELECT unnest($sensors))
GROUP BY ALL
ORDER BY sensor, moment
"""

_LEVEL = """
SELECT hour, level, healthy
FROM regional_hours
WHERE region = $region AND hour >= $begin AND hour < $end
ORDER BY hour
"""

_NEIGHBOURS = """
SELECT
    max(window_start) FILTER (window_start < $start) AS before,
    min(window_start) FILTER (window_start > $start) AS after
FROM regional_windows
WHERE region = $region
"""

_LABELS = """
SELECT region, sensor, truth, judged, note, labelled_at
FROM labels
WHERE window_start = $start AND (region = $region OR sensor IN (SELECT unnest($sensors)))
ORDER BY labelled_at
"""


def window(look: Look, region: str, start: datetime, raw: bool | None = None) -> Shown:
    """What the page shows of a region in the window from ``start``; :class:`UnknownThingError` if there is nothing.

    ``raw`` draws what sensors read instead of what EPA makes of it; without it the rules decide.
    """
    found = look.rows(_WINDOW, region=region, start=start)
    judged = RegionalWindow(**found[0]) if found else None
    run = next(iter(look.rows(_RUN, start=start)), None)
    health = look.rows(_HEALTH, region=region, start=start) or look.rows(_NEAREST_HEALTH, region=region, start=start)
    if judged is None and not health:
        raise UnknownThingError(
            f"Of “{region}” nothing is known in the window {window_key(start)} UTC: no region is called so, or none of "
            "its sensors reported."
        )
    as_read = (judged is None or judged.rules != "network") if raw is None else raw
    end = start + WINDOW_LENGTH
    sensors = _sensors(look, health, judged)
    identities = [one["identity"] for one in sensors]
    level = look.rows(_LEVEL, region=region, begin=start - AROUND, end=end + AROUND)
    series = _series(look, identities, start)
    facts = _facts(look, region, start, judged, run, [hour for hour in level if start <= hour["hour"] < end])
    labels = look.rows(_LABELS, region=region, start=start, sensors=identities)
    drawn = [SensorSeries(one["name"], one["sensor"], one["state"], series.get(one["identity"], [])) for one in sensors]
    return Shown(
        f"{facts['verdict_in_words']} in {region}",
        facts,
        {
            "series": _series_rows(sensors, series),
            "sensors": [{name: value for name, value in one.items() if name != "identity"} for one in sensors],
            "level_by_hour": level,
            "alerts": alert_rows(look, region=region, window=start),
            "labels": [_label(look, label) for label in labels],
        },
        {
            "series": series_figure(look.times, drawn, level, (start, end), as_read),
            "map": hours_map(look, sensors, series, start),
        },
        {"start": start, "end": end, "as_read": as_read, **_context(look, region, start, sensors)},
    )


def _context(look: Look, region: str, start: datetime, sensors: Sequence[Row]) -> Row:
    """What the template alone needs."""
    return {
        "neighbours": look.rows(_NEIGHBOURS, region=region, start=start)[0],
        "dagster": _dagster(look, start),
        "trouble": [one for one in sensors if one["state"] in ("broken", "no vote", "local")][:TROUBLE_SHOWN],
        "drawn": f"The {HIGHEST_DRAWN} highest are drawn one by one" if len(sensors) > HIGHEST_DRAWN else "",
    }


def _facts(
    look: Look, region: str, start: datetime, judged: RegionalWindow | None, run: Row | None, level: Sequence[Row]
) -> dict[str, Any]:
    highest = max((hour["level"] for hour in level), default=None)
    mean = sum(hour["level"] for hour in level) / len(level) if level else None
    is_open = start + WINDOW_LENGTH > look.times.now or (run is not None and run["classified"] is None)
    shown_level = judged.level if judged is not None and judged.level is not None else mean
    index = None if shown_level is None else aqi.aqi(shown_level)
    return {
        "region": region,
        "window_start": start,
        "window_end": start + WINDOW_LENGTH,
        "verdict_in_words": _title(judged, is_open, level),
        "verdict": None if judged is None else judged.verdict,
        "why": _why(look, judged, is_open, highest, level),
        "surroundings": "" if judged is None else look.places.text(surroundings(judged)),
        "confidence": None if judged is None else judged.confidence,
        "rules": look.rules if judged is None else judged.rules,
        "level": shown_level,
        "highest_hour": highest,
        "aqi_of_level": index,
        "category": None if index is None else aqi.category(index).name,
        "since": None if judged is None else judged.min_event,
        "readings": run["readings"] if run else 0,
        "late_readings": run["readings"] - run["scored"] if run and run["has_late_readings"] else 0,
        "is_outdated": bool(run and run["is_outdated"]),
        "is_open": is_open,
    }


def _title(judged: RegionalWindow | None, is_open: bool, level: Sequence[Row]) -> str:
    if judged is not None:
        return title(judged)
    if is_open:
        return "Not judged yet"
    return "Clear" if level else "Unknown"


def _why(look: Look, judged: RegionalWindow | None, is_open: bool, highest: float | None, level: Sequence[Row]) -> str:
    if judged is not None:
        text = look.places.text(reason(judged))
        return f"{text[0].upper()}{text[1:]}."
    if highest is None:
        return "No healthy sensor of the region reported, so nothing can be said of the air."
    sensors = counted(max(hour["healthy"] for hour in level), "healthy sensor")
    air = f"The highest hour was {rounded(highest)} µg/m³ (EPA-corrected), by {sensors}."
    return f"The window has no verdict yet. {air}" if is_open else f"Nothing to tell by the {look.rules} rules. {air}"


def _sensors(look: Look, health: Sequence[Row], judged: RegionalWindow | None) -> list[Row]:
    identities = [row["sensor"] for row in health]
    known = set(identities)
    lacking = [sensor for sensor in (judged.sensors if judged else []) if sensor not in known]
    names = {row["sensor"]: row["name"] for row in look.rows(_NAMES, sensors=[*identities, *lacking])}
    empty = dict.fromkeys(("hours", "mean_pm25", "max_hour_pm25", "corrected_pm25", "neighbours_pm25"))
    others = [
        {"sensor": one, **empty, "fault": None, "is_local": False, "reason": None, "no_vote": False} for one in lacking
    ]
    witnesses = set(judged.sensors) if judged else set()
    return [_sensor(look, row, names.get(row["sensor"]), row["sensor"] in witnesses) for row in [*health, *others]]


def _sensor(look: Look, row: Row, name: str | None, is_witness: bool) -> Row:
    place = look.places.place(row["sensor"])
    state = "broken" if row["fault"] else "local" if row["is_local"] else "no vote" if row["no_vote"] else "healthy"
    return {
        "identity": row["sensor"],
        "sensor": look.places.token(row["sensor"]),
        "name": look.places.label(row["sensor"], name),
        "latitude": place[0] if place else None,
        "longitude": place[1] if place else None,
        "state": state,
        "fault": row["fault"],
        "reason": look.places.text(row["reason"]) if row["reason"] else None,
        "has_anomalies": is_witness,
        "mean_pm25": row["mean_pm25"],
        "corrected_pm25": row["corrected_pm25"],
        "highest_hour_pm25": row["max_hour_pm25"],
        "neighbours_pm25": row["neighbours_pm25"],
    }


def _series(look: Look, sensors: Sequence[str], start: datetime) -> dict[str, list[Row]]:
    step = timedelta(minutes=10) if len(sensors) <= FINE_SENSORS else timedelta(hours=1)
    rows = look.rows(
        _SERIES,
        step=step,
        first_window=start - WINDOW_LENGTH,
        last_window=start + WINDOW_LENGTH,
        begin=start - AROUND,
        end=start + WINDOW_LENGTH + AROUND,
        sensors=list(sensors),
    )
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["sensor"], []).append(row)
    return found


def _series_rows(sensors: Sequence[Row], series: dict[str, list[Row]]) -> list[Row]:
    return [
        {
            "sensor": one["sensor"],
            "name": one["name"],
            "moment": row["moment"],
            "pm25": row["pm25"],
            "pm25_corrected": row["pm25_corrected"],
        }
        for one in sensors
        for row in series.get(one["identity"], [])
    ]


def _label(look: Look, row: Row) -> Row:
    subject = row["region"] or look.places.label(row["sensor"], None)
    note = look.places.text(row["note"]) if row["note"] else None
    return {
        "subject": subject,
        "truth": row["truth"],
        "judged": row["judged"],
        "note": note,
        "labelled_at": row["labelled_at"],
    }


def _dagster(look: Look, start: datetime) -> str | None:
    if look.dagster_url is None:
        return None
    key = quote(window_key(start))
    return f"{look.dagster_url.rstrip('/')}/assets/regional_windows?view=partitions&partition={key}"
