"""The page Calendar: a year of windows of a region at a glance."""

from collections import Counter
from datetime import date, datetime, timedelta
from itertools import groupby

from aqi_dagster.web.shown import Look, Row, Shown, UnknownThingError
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, window_start

YEAR = timedelta(days=365)

STATES = {
    "smoke": ("Smoke", "S"),
    "malfunction": ("Malfunction", "M"),
    "undecided": ("Undecided", "?"),
    "unknown": ("Unknown: no healthy sensor reported", "u"),
    "clear": ("Clear", "·"),
    "not run": ("Has readings, not run yet", "!"),
    "no readings": ("No readings", ""),
}
"""What each state is called, and the sign that stands beside its colour."""

REGIONS_LISTED = 200

_REGIONS = """
WITH events AS (
    SELECT
        region,
        count(*) FILTER (verdict = 'smoke') AS smoke,
        count(*) FILTER (verdict = 'malfunction') AS malfunction,
        count(*) FILTER (verdict = 'undecided') AS undecided,
        max(window_start) AS newest_event
    FROM regional_windows
    WHERE window_start BETWEEN $first AND $last
    GROUP BY region
), known AS (
    SELECT DISTINCT region FROM sensor_health WHERE region IS NOT NULL AND window_start BETWEEN $first AND $last
    UNION SELECT region FROM events
)
SELECT
    region,
    coalesce(smoke, 0) AS smoke,
    coalesce(malfunction, 0) AS malfunction,
    coalesce(undecided, 0) AS undecided,
    newest_event
FROM known
LEFT JOIN events USING (region)
ORDER BY smoke DESC, malfunction DESC, region
"""

_OLDEST = "SELECT min(window_start) AS oldest FROM sensor_health WHERE region = $region"

_WINDOWS = """
WITH hours AS (
    SELECT
        to_timestamp(epoch(hour) // 43200 * 43200)::TIMESTAMP AS window_start,
        max(level) AS highest_hour
    FROM regional_hours
    WHERE region = $region AND hour >= $first AND hour < $end
    GROUP BY ALL
), judged AS (
    SELECT DISTINCT window_start
    FROM sensor_health
    WHERE region = $region AND window_start BETWEEN $first AND $last
)
SELECT
    windows.window_start,
    windows.readings,
    windows.classified IS NOT NULL AS is_classified,
    regional_windows.verdict,
    regional_windows.level,
    hours.highest_hour,
    judged.window_start IS NOT NULL AS has_sensors
FROM windows
LEFT JOIN regional_windows ON regional_windows.window_start = windows.window_start AND regional_windows.region = $region
LEFT JOIN hours ON hours.window_start = windows.window_start
LEFT JOIN judged ON judged.window_start = windows.window_start
WHERE windows.window_start BETWEEN $first AND $last
ORDER BY windows.window_start
"""


def calendar(look: Look, region: str | None = None, until: datetime | None = None) -> Shown:
    """A year of windows of ``region``, of the one with most smoke if none is named; ``until`` is its last window."""
    newest = window_start(min(look.newest, look.times.now)) if look.newest else None
    last = until or newest
    if last is None:
        return Shown("Calendar", {"region": region}, {"windows": [], "regions": []}, context={"empty": True})
    last = window_start(last)
    windows = WindowRange(window_start(last - YEAR), last)
    regions = look.rows(_REGIONS, **windows.bounds)
    if region is None and regions:
        region = regions[0]["region"]
    elif region is not None and region not in {row["region"] for row in regions}:
        raise UnknownThingError(f"No region is called “{region}”, or it had no sensors in the year to {last:%Y-%m-%d}.")
    oldest = look.rows(_OLDEST, region=region)[0]["oldest"]
    rows = {row["window_start"]: row for row in look.rows(_WINDOWS, region=region, end=windows.end, **windows.bounds)}
    shown = [_window(start, rows.get(start)) for start in windows]
    numbers = Counter(row["state"] for row in shown)
    return Shown(
        f"{region}: a year of windows" if region else "Calendar",
        {"region": region, "first_window": windows.first, "last_window": windows.last},
        {"windows": shown, "regions": regions},
        context={
            "region": region,
            "months": _months(_since_first_readings(shown)),
            "numbers": [(state, *STATES[state], numbers[state]) for state in STATES if numbers[state]],
            "states": STATES,
            "regions": regions[:REGIONS_LISTED],
            "more_regions": len(regions) - REGIONS_LISTED,
            "events": [row for row in reversed(shown) if row["state"] in ("smoke", "malfunction", "undecided")][:30],
            "earlier": windows.first - WINDOW_LENGTH if oldest is not None and oldest < windows.first else None,
            "later": min(last + YEAR, newest) if newest and newest > last else None,
        },
    )


def _window(start: datetime, row: Row | None) -> Row:
    found = row or {"readings": 0, "level": None, "highest_hour": None}
    return {
        "window_start": start,
        "state": _state(row),
        "readings": found["readings"],
        "level": found["level"],
        "highest_hour": found["highest_hour"],
    }


def _state(row: Row | None) -> str:
    if row is None or not row["readings"]:
        return "no readings"
    if row["verdict"]:
        return str(row["verdict"])
    if not row["is_classified"]:
        return "not run"
    if row["highest_hour"] is not None:
        return "clear"
    return "unknown" if row["has_sensors"] else "no readings"


def _since_first_readings(windows: list[Row]) -> list[Row]:
    """The windows from the month in which the first readings are; all if there are none."""
    first = next((row["window_start"] for row in windows if row["state"] != "no readings"), None)
    begin = datetime(first.year, first.month, 1) if first else windows[0]["window_start"]  # noqa: DTZ001 (naive UTC)
    return [row for row in windows if row["window_start"] >= begin]


def _months(windows: list[Row]) -> list[dict[str, object]]:
    """The windows by month and day: of each month its name, empty cells before its first day, and its days."""
    months = []
    for (year, number), of_month in groupby(
        windows, key=lambda row: (row["window_start"].year, row["window_start"].month)
    ):
        days = [list(rows) for _, rows in groupby(of_month, key=lambda row: row["window_start"].date())]
        first = days[0][0]["window_start"]
        months.append(
            {"name": f"{date(year, number, 1):%B %Y}", "before": first.weekday(), "days": days},
        )
    return months
