"""All sensors as they are now: what each reads, whether to believe it, and whether it is silent."""

from datetime import datetime, timedelta

from aqi_dagster.pipeline import aqi
from aqi_dagster.web.shown import Look, Row

SILENT_AFTER = timedelta(hours=3)
"""Without a reading for so long a sensor counts as silent."""

TAKEN_DOWN_AFTER = timedelta(days=30)
"""A sensor that has been silent for so long is not shown on the map any more."""

_HEALTH_REMEMBERED = timedelta(days=7)

_SENSORS = """
WITH recent AS (
    SELECT sensor, created_at, pm25_cf1, pm25_corrected, max(created_at) OVER (PARTITION BY sensor) AS latest
    FROM corrected_readings
    WHERE window_start >= $first_window AND created_at > $since AND created_at <= $as_of AND NOT repeated
), present AS (
    SELECT
        sensor,
        avg(pm25_corrected) AS pm25_corrected,
        avg(pm25_cf1) AS pm25
    FROM recent
    WHERE created_at > latest - INTERVAL 1 HOUR
    GROUP BY sensor
), health AS (
    SELECT
        sensor,
        max(window_start) AS judged,
        arg_max(region, window_start) AS region,
        arg_max_null(fault, window_start) AS fault,
        arg_max_null(reason, window_start) AS reason,
        arg_max(is_local, window_start) AS is_local,
        arg_max(unlike_neighbours OR is_new OR on_probation OR in_dispute, window_start) AS no_vote
    FROM sensor_health
    WHERE window_start BETWEEN $health_since AND $as_of
    GROUP BY sensor
), broken AS (
    SELECT DISTINCT unnest(broken) AS sensor FROM conditions WHERE as_of > $since
)
SELECT
    sensors.sensor,
    sensors.name,
    sensors.location_type,
    sensors.last_reading,
    health.region,
    health.fault,
    health.reason,
    health.judged,
    present.pm25_corrected,
    present.pm25,
    coalesce(health.is_local, false) AS is_local,
    coalesce(health.no_vote, false) AS no_vote,
    broken.sensor IS NOT NULL AS broken_now
FROM sensors
LEFT JOIN present USING (sensor)
LEFT JOIN health USING (sensor)
LEFT JOIN broken USING (sensor)
WHERE sensors.last_reading > $taken_down OR $taken_down IS NULL
ORDER BY sensors.sensor
"""

STATES = {
    "broken": "Broken",
    "silent": "Silent",
    "inside": "Inside a building",
    "no vote": "No vote yet",
    "not judged": "Not judged within a week",
    "healthy": "Healthy",
}
"""States of a sensor, and what they are called; those to look at first."""


def sensors_now(look: Look, as_of: datetime, taken_down: bool = False) -> list[Row]:
    """A row for each sensor at a moment; those that were taken down too if ``taken_down`` says so."""
    since = as_of - SILENT_AFTER - timedelta(hours=1)
    rows = look.rows(
        _SENSORS,
        as_of=as_of,
        since=since,
        first_window=since - timedelta(hours=12),
        health_since=as_of - _HEALTH_REMEMBERED,
        taken_down=None if taken_down else as_of - TAKEN_DOWN_AFTER,
    )
    return [_row(look, row, as_of) for row in rows]


def _row(look: Look, row: Row, as_of: datetime) -> Row:
    sensor = row["sensor"]
    place = look.places.place(sensor)
    index = None if row["pm25_corrected"] is None else aqi.aqi(row["pm25_corrected"])
    state = _state(row, as_of)
    reason = look.places.text(row["reason"]) if row["reason"] else None
    if state == "broken" and not row["fault"]:
        reason = "Counted as broken by the last look at the window that is open."
    return {
        "sensor": look.places.token(sensor),
        "name": look.places.label(sensor, row["name"]),
        "latitude": place[0] if place else None,
        "longitude": place[1] if place else None,
        "region": row["region"],
        "state": state,
        "reason": reason,
        "fault": row["fault"],
        "pm25": row["pm25"],
        "pm25_corrected": row["pm25_corrected"],
        "aqi": index,
        "category": None if index is None else aqi.category(index).name,
        "last_reading": row["last_reading"],
    }


def _state(row: Row, as_of: datetime) -> str:
    if row["last_reading"] <= as_of - SILENT_AFTER:
        return "silent"
    if row["location_type"] == 1:
        return "inside"
    if row["fault"] or row["broken_now"]:
        return "broken"
    if row["judged"] is None:
        return "not judged"
    return "no vote" if row["no_vote"] else "healthy"
