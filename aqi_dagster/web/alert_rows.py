"""Alerts as pages show them."""

from datetime import datetime
from typing import Any

from aqi_dagster.web.shown import Look, Row

STATUSES = {
    "pending": "waits to be sent",
    "sent": "told",
    "not_sent": "not sent: no webhook is set",
    "superseded": "left out: something newer took its place",
    "unknown": "Slack may have it or not",
    "refused": "refused",
    "muted": "not told: the region was muted",
}
"""What each status is called."""

KINDS = {
    "verdict": "Verdict",
    "early": "Early warning",
    "ongoing": "Smoke goes on",
    "all_clear": "All clear",
    "muted": "Mute",
    "sensor": "Sensor",
    "weekly": "Weekly list",
}

PAGE_LENGTH = 100

_ALERTS = """
SELECT
    alert_id, kind, region, window_start, subject, verdict, previous_verdict, status, told, reason, level,
    aqi_of_nowcast, as_of, created_at, sent_at, digest, attempts, sensors.name AS subject_name
FROM slack_alerts
LEFT JOIN sensors ON sensors.sensor = slack_alerts.subject
WHERE (region = $region OR $region IS NULL)
    AND (window_start = $window OR $window IS NULL)
    AND (subject = $subject OR $subject IS NULL)
    AND (status = $status OR $status IS NULL)
    AND (alert_id < $before OR $before IS NULL)
ORDER BY alert_id DESC
LIMIT $most
"""


def alert_rows(
    look: Look,
    region: str | None = None,
    window: datetime | None = None,
    subject: str | None = None,
    status: str | None = None,
    before: int | None = None,
    most: int = PAGE_LENGTH,
) -> list[Row]:
    """The newest alerts, by any of these."""
    asked: dict[str, Any] = {"region": region, "window": window, "subject": subject, "status": status}
    return [_row(look, row) for row in look.rows(_ALERTS, **asked, before=before, most=most)]


def _row(look: Look, row: Row) -> Row:
    told = row["told"] or row["reason"]
    return {
        "alert_id": row["alert_id"],
        "kind": row["kind"],
        "kind_in_words": KINDS[row["kind"]],
        "region": row["region"],
        "window_start": row["window_start"],
        "sensor": look.places.token(row["subject"]) if row["subject"] else None,
        "sensor_name": look.places.label(row["subject"], row["subject_name"]) if row["subject"] else None,
        "verdict": row["verdict"],
        "previous_verdict": row["previous_verdict"],
        "status": row["status"],
        "status_in_words": STATUSES[row["status"]] + (", in a digest" if row["digest"] else ""),
        "told": look.places.text(told) if told else None,
        "level": row["level"],
        "aqi_of_nowcast": row["aqi_of_nowcast"],
        "as_of": row["as_of"],
        "created_at": row["created_at"],
        "sent_at": row["sent_at"],
        "attempts": row["attempts"],
    }
