"""The page Alerts: what was told, what waits, and what was withdrawn."""

from aqi_dagster.web.alert_rows import KINDS, PAGE_LENGTH, STATUSES, alert_rows
from aqi_dagster.web.shown import Look, Shown

_NUMBERS = """
SELECT status, count(*) AS number
FROM slack_alerts
WHERE region = $region OR $region IS NULL
GROUP BY status
ORDER BY number DESC
"""


def alerts(look: Look, region: str | None = None, status: str | None = None, before: int | None = None) -> Shown:
    """The newest alerts, and those before the one with the number ``before``."""
    numbers = {row["status"]: row["number"] for row in look.rows(_NUMBERS, region=region)}
    rows = alert_rows(look, region=region, status=status, before=before, most=PAGE_LENGTH + 1)
    has_more = len(rows) > PAGE_LENGTH
    rows = rows[:PAGE_LENGTH]
    return Shown(
        f"Alerts of {region}" if region else "Alerts",
        {"region": region, "status": status, "numbers": numbers},
        {"alerts": rows},
        context={
            "region": region,
            "status": status,
            "numbers": [(name, STATUSES[name], numbers[name]) for name in STATUSES if name in numbers],
            "kinds": KINDS,
            "next": rows[-1]["alert_id"] if has_more else None,
        },
    )
