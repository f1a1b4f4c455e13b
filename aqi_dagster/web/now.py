"""The page Now: each region in words, and a map of all sensors."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from aqi_dagster.pipeline import aqi
from aqi_dagster.pipeline.numbers import counted, rounded
from aqi_dagster.web.map_figure import map_figure
from aqi_dagster.web.sensors_now import STATES, sensors_now
from aqi_dagster.web.shown import Look, Row, Shown, UnknownThingError

LOOK_IS_OLD = timedelta(hours=2)
"""A look at the open window that is older than this says nothing about the air now."""

STEADY = 5.0
"""Change of a level within three hours, in ug/m3, that is none worth telling."""

REGIONS_SHOWN = 24

TROUBLE_SHOWN = 30

_REGIONS = """
WITH known AS (
    SELECT DISTINCT region FROM sensor_health WHERE window_start >= $since AND region IS NOT NULL
    UNION SELECT region FROM conditions
), last AS (
    SELECT region, max(window_start) AS last_event, arg_max(verdict, window_start) AS last_verdict
    FROM regional_windows
    WHERE window_start >= $since
    GROUP BY region
), present AS (
    SELECT region, max(hour) AS last_hour, arg_max(level, hour) AS hour_level
    FROM regional_hours
    WHERE hour >= $hours_since
    GROUP BY region
)
SELECT
    region,
    conditions.state, conditions.as_of, conditions.since, conditions.level, conditions.trend, conditions.nowcast,
    conditions.aqi_of_nowcast, conditions.reason, conditions.rules,
    len(conditions.healthy) AS healthy, len(conditions.broken) AS broken,
    last.last_event, last.last_verdict,
    present.last_hour, present.hour_level
FROM known
LEFT JOIN conditions USING (region)
LEFT JOIN last USING (region)
LEFT JOIN present USING (region)
WHERE $region IS NULL OR region = $region
ORDER BY region
"""

_JUDGED = "SELECT max(window_start) AS judged FROM windows WHERE classified IS NOT NULL"

_ORDER = {"smoke": 0, "unknown": 1, "clear": 2}


def now(look: Look, region: str | None = None, all_regions: bool = False) -> Shown:
    """What the page shows of one region, or of all; :class:`UnknownThingError` if there is no such region."""
    if look.newest is None:
        return Shown("Now", {"as_of": None}, {"regions": [], "sensors": []}, context={"empty": True})
    as_of = _as_of(look)
    rows = look.rows(_REGIONS, since=as_of - timedelta(days=30), hours_since=as_of - timedelta(hours=24), region=region)
    if region is not None and not rows:
        raise UnknownThingError(f"No region is called “{region}”, or none of its sensors reported within 30 days.")
    judged = look.rows(_JUDGED)[0]["judged"]
    regions = sorted(
        (_region(look, row, judged) for row in rows), key=lambda row: (_ORDER[row["state"]], -(row["level"] or 0))
    )
    sensors = [one for one in sensors_now(look, as_of) if region is None or one["region"] in (region, None)]
    if region is not None:
        sensors = _of_region(sensors, region)
    shown = regions if all_regions else regions[:REGIONS_SHOWN]
    trouble = [one for one in sensors if one["state"] in ("broken", "silent")]
    facts = {"as_of": as_of, "newest_reading": look.newest, "rules": look.rules, "newest_window_judged": judged}
    return Shown(
        f"{region}: the air now" if region else "The air now",
        facts,
        {"regions": regions, "sensors": sensors},
        {"map": map_figure(sensors, "last hour")},
        {
            "region": region,
            "shown_regions": shown,
            "more_regions": len(regions) - len(shown),
            "trouble": trouble[:TROUBLE_SHOWN],
            "more_trouble": len(trouble) - TROUBLE_SHOWN,
            "counts": _counts(sensors),
            "is_old": look.times.now - look.newest > timedelta(hours=12),
            "map_sentence": _map_sentence(sensors),
        },
    )


def _as_of(look: Look) -> datetime:
    """The moment that the page shows: that of the newest reading, if it is not in the future."""
    newest = look.newest or look.times.now
    return min(newest, look.times.now)


def _of_region(sensors: Sequence[Row], region: str) -> list[Row]:
    return [one for one in sensors if one["region"] == region]


def _region(look: Look, row: Row, judged: datetime | None) -> Row:
    """A region with its state now, and why, in words."""
    current = row["as_of"] is not None and look.times.now - row["as_of"] <= LOOK_IS_OLD
    state = row["state"] if current else "unknown"
    index = None if row["level"] is None else aqi.aqi(row["level"])
    last_hour = None if row["hour_level"] is None else aqi.aqi(row["hour_level"])
    return {
        "region": row["region"],
        "state": state,
        "as_of": row["as_of"],
        "since": row["since"] if current else None,
        "level": row["level"] if current else None,
        "aqi_of_level": index if current else None,
        "category_of_level": aqi.category(index).name if current and index is not None else None,
        "nowcast": row["nowcast"] if current else None,
        "aqi_of_nowcast": row["aqi_of_nowcast"] if current else None,
        "category_of_nowcast": (
            aqi.category(row["aqi_of_nowcast"]).name if current and row["aqi_of_nowcast"] is not None else None
        ),
        "trend": row["trend"] if current else None,
        "trend_in_words": _trend(row["trend"]) if current else None,
        "healthy_sensors": row["healthy"] if current else None,
        "broken_sensors": row["broken"] if current else None,
        "reason": look.places.text(row["reason"]) if current else _why_unknown(look, row),
        "last_hour": row["last_hour"],
        "last_hour_level": row["hour_level"],
        "aqi_of_last_hour": last_hour,
        "category_of_last_hour": None if last_hour is None else aqi.category(last_hour).name,
        "last_event": row["last_event"],
        "last_verdict": row["last_verdict"],
        "newest_window_judged": judged,
        "is_last_window_event": judged is not None and row["last_event"] == judged,
    }


def _why_unknown(look: Look, row: Row) -> str:
    if row["as_of"] is None:
        return "Nobody has looked at the window that is open. Dagster does, every few minutes, while it runs."
    return f"The last look is of {look.times.ago(row['as_of'])}; it said {row['state']} then."


def _trend(trend: float | None) -> str | None:
    if trend is None:
        return None
    if abs(trend) < STEADY:
        return "hardly changed in three hours"
    return f"{'rising' if trend > 0 else 'falling'} by {rounded(abs(trend))} µg/m³ in three hours"


def _counts(sensors: Sequence[Row]) -> list[tuple[str, str, int]]:
    numbers = dict.fromkeys(STATES, 0)
    for one in sensors:
        numbers[one["state"]] += 1
    return [(state, STATES[state], number) for state, number in numbers.items() if number]


def _map_sentence(sensors: Sequence[Row]) -> str:
    """What the map shows, for those who do not see it."""
    known = [one for one in sensors if one["state"] in ("healthy", "no vote", "not judged") and one["aqi"] is not None]
    by_category = {category.name: sum(one["category"] == category.name for one in known) for category in aqi.CATEGORIES}
    parts = [f"{number:,} {name}" for name, number in by_category.items() if number]
    placeless = sum(one["latitude"] is None for one in sensors)
    rest = f" {counted(placeless, 'sensor')} of unknown place are not on it." if placeless else ""
    return f"Map of {counted(len(sensors), 'sensor')}: {', '.join(parts) or 'none with a level'}.{rest}"
