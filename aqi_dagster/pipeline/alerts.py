"""The outbox: which windows Slack is to be told, in what words, and what came of it.

``classifying`` puts an alert into ``slack_alerts`` in the same transaction as its verdict. :func:`dispatch` sends what
is pending and records each outcome at once. Only a crash between Slack's answer and its record, or an answer that
never arrived whole, can repeat a message; nothing loses one.
"""

import html
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from duckdb import DuckDBPyConnection

from aqi_dagster.errors import SlackError, SlackRefusedError
from aqi_dagster.pipeline.database import run_script, transaction
from aqi_dagster.pipeline.store import Store
from aqi_dagster.windows import WINDOW_LENGTH, utc_now

NO_WEBHOOK = "no webhook is configured"

DIGEST_LINES = 40
"""Windows that a digest names one by one; Slack cuts longer messages."""

SENSOR_LINES = 40
"""Sensors that a message names one by one."""

_TITLES = {
    "smoke": "Suspected Smoke Event",
    "malfunction": "Malfunctioning Sensor",
    "withdrawn": "Alert Withdrawn",
}

_COLOURS = {"smoke": "#b3261e", "malfunction": "#9a6b00", "withdrawn": "#5f6368"}

_log = logging.getLogger(__name__)

Post = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Alert:
    """A row of the outbox with the regional window it speaks of; the latter's columns are None if it is withdrawn."""

    alert_id: int
    region: str
    window_start: datetime
    verdict: str
    previous_verdict: str | None
    status: str
    sensors: list[str] | None
    min_event: datetime | None
    max_pm25: float | None
    count_anomalies: int | None


@dataclass
class DispatchReport:
    """Alerts that one dispatch sent on their own, folded into its digest, or could not send for want of a webhook."""

    sent: int = 0
    digested: int = 0
    not_sent: int = 0


def dispatch(store: Store, post: Post | None, digest_after: timedelta) -> DispatchReport:
    """Send every alert that is due through ``post``, or note that there is no webhook if ``post`` is None.

    Windows that ended longer than ``digest_after`` ago go into one digest. Alerts that could not be sent for want of
    a webhook are sent later only while they are more recent than that. Raises :class:`SlackError` if Slack does not
    take a message: at once if it may later, after the other messages if it refuses just this one. What is not sent
    stays pending.
    """
    with store.dispatching():
        return _dispatch(store, post, digest_after)


def _escaped(text: str) -> str:
    """``text`` with the three characters that Slack's markup claims."""
    return html.escape(text, quote=False)


def headline(alert: Alert) -> str:
    """The alert in one line."""
    window_end = alert.window_start + WINDOW_LENGTH
    title = f"{_TITLES[alert.verdict]} in {_escaped(alert.region)}"
    line = f"{title}, {alert.window_start:%Y-%m-%d %H:%M} to {window_end:%H:%M} UTC"
    if alert.sensors is not None:
        line += f": {_count(len(alert.sensors), 'sensor')}, up to {alert.max_pm25:,.0f} ug/m3"
    if alert.previous_verdict is not None:
        line += f' (told before as "{_TITLES[alert.previous_verdict]}")'
    return line


def message(alert: Alert) -> dict[str, Any]:
    """The Slack payload that tells one alert."""
    window_end = alert.window_start + WINDOW_LENGTH
    fields = {
        "Region": _escaped(alert.region),
        "Window": f"{alert.window_start:%Y-%m-%d %H:%M} to {window_end:%Y-%m-%d %H:%M} UTC",
    }
    if alert.sensors is not None:
        fields["Sensors"] = _escaped("\n".join(_shortened(alert.sensors, SENSOR_LINES)))
        fields["First event"] = f"{alert.min_event:%Y-%m-%d %H:%M:%S} UTC"
        fields["Greatest PM2.5"] = f"{alert.max_pm25:,.2f} ug/m3"
        fields["Anomalies"] = str(alert.count_anomalies)
    if alert.previous_verdict is not None:
        told = _TITLES[alert.previous_verdict]
        fields["Correction"] = f'This window was told before as "{told}"; readings that came later changed it.'
    return {
        "text": headline(alert),
        "attachments": [
            {
                "color": _COLOURS[alert.verdict],
                "title": _TITLES[alert.verdict],
                "fields": [
                    {"title": title, "value": value, "short": title in ("Region", "Window", "Anomalies")}
                    for title, value in fields.items()
                ],
            }
        ],
    }


def digest_message(alerts: Sequence[Alert]) -> dict[str, Any]:
    """The Slack payload that tells many old windows at once."""
    first, last = alerts[0].window_start, alerts[-1].window_start + WINDOW_LENGTH
    title = f"{_count(len(alerts), 'older window')} classified, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
    lines = _shortened([headline(alert) for alert in alerts], DIGEST_LINES)
    return {"text": title, "attachments": [{"color": "#5f6368", "title": title, "text": "\n".join(lines)}]}


def _dispatch(store: Store, post: Post | None, digest_after: timedelta) -> DispatchReport:
    with store.exclusive() as connection:
        alerts = _due(connection)
    oldest = utc_now() - digest_after
    recent = [alert for alert in alerts if alert.window_start + WINDOW_LENGTH >= oldest]
    old = [alert for alert in alerts if alert not in recent and alert.status == "pending"]
    report = DispatchReport()
    if post is None:
        waiting = [alert for alert in alerts if alert.status == "pending"]
        for alert in waiting:
            _log.warning("not sent, as %s: %s", NO_WEBHOOK, headline(alert))
        if waiting:
            _record(store, waiting, "not_sent", NO_WEBHOOK)
        report.not_sent = len(waiting)
        return report
    # A verdict may change while others are told, which takes its alert from what is due.
    due = {alert.alert_id for alert in alerts}
    refusals = []
    for alert in recent:
        if alert.alert_id in due:
            try:
                due = _send(store, post, message(alert), [alert], digest=False)
                report.sent += 1
            except SlackRefusedError as refusal:
                # It would stand in the way of the others at every dispatch to come.
                refusals.append(refusal)
    old = [alert for alert in old if alert.alert_id in due]
    if old:
        _send(store, post, digest_message(old), old, digest=True)
        report.digested = len(old)
    if refusals:
        raise refusals[0]
    return report


def _send(store: Store, post: Post, payload: dict[str, Any], alerts: Sequence[Alert], digest: bool) -> set[int]:
    """Post ``payload``, which tells ``alerts``, and record what came of it; gives the alerts that are due then."""
    try:
        post(payload)
    except SlackError as error:
        _record(store, alerts, "pending", str(error))
        raise
    due = _record(store, alerts, "sent", "Slack took it", digest)
    _log.info("told Slack: %s", payload["text"])
    return due


def _due(connection: DuckDBPyConnection) -> list[Alert]:
    rows = connection.execute(
        "SELECT alert_id, region, window_start, slack_alerts.verdict, previous_verdict, status, sensors, min_event, "
        "max_pm25, count_anomalies FROM slack_alerts LEFT JOIN regional_windows USING (region, window_start) "
        "WHERE status IN ('pending', 'not_sent') ORDER BY window_start, region, alert_id"
    ).fetchall()
    return [Alert(*row) for row in rows]


def _record(store: Store, alerts: Sequence[Alert], status: str, outcome: str, digest: bool = False) -> set[int]:
    """Record what came of telling ``alerts``; gives the ids of the alerts that are due then."""
    now = utc_now()
    ids = [alert.alert_id for alert in alerts]
    with store.exclusive() as connection, transaction(connection):
        overtaken = connection.execute(
            "SELECT region, window_start FROM slack_alerts WHERE list_contains(?, alert_id) AND status = 'superseded'",
            [ids],
        ).fetchall()
        connection.execute(
            "UPDATE slack_alerts SET status = $status, outcome = $outcome, digest = $digest, attempts = attempts + 1, "
            "sent_at = CASE WHEN $status = 'sent' THEN $now END "
            "WHERE list_contains($ids, alert_id) AND ($status = 'sent' OR status <> 'superseded')",
            {"status": status, "outcome": outcome, "digest": digest, "now": now, "ids": ids},
        )
        if status == "sent":
            # These verdicts changed while Slack took the old ones: what is to follow must correct what was told.
            for region, window_start in overtaken:
                connection.execute(
                    "UPDATE slack_alerts SET status = 'superseded', outcome = 'an older verdict was sent meanwhile' "
                    "WHERE region = ? AND window_start = ? AND status IN ('pending', 'not_sent')",
                    [region, window_start],
                )
                run_script(connection, "sync_alerts.sql", window_start=window_start, now=now)
        due = connection.execute("SELECT alert_id FROM slack_alerts WHERE status IN ('pending', 'not_sent')").fetchall()
        return {alert_id for (alert_id,) in due}


def _shortened(lines: list[str], limit: int) -> list[str]:
    """``lines``, those beyond ``limit`` only as their number."""
    more = [f"and {len(lines) - limit} more: see regional_windows"] if len(lines) > limit else []
    return lines[:limit] + more


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
