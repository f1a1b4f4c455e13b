"""The outbox: which windows Slack is to be told, and what came of it (``alert_words`` and ``alert_messages`` say what).

``classifying`` puts an alert into ``slack_alerts`` in the same transaction as its verdict. :func:`dispatch` sends what
is pending and records each outcome at once. Only a crash between Slack's answer and its record, or an answer that
never arrived whole, can repeat a message; nothing loses one.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from duckdb import DuckDBPyConnection

from aqi_dagster.errors import SlackError, SlackRefusedError
from aqi_dagster.pipeline.alerts.slack_blocks import digest_message, headline, message
from aqi_dagster.pipeline.alerts.wording import Alert, reason
from aqi_dagster.pipeline.regions.base import Regions
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.sql import run_script, transaction
from aqi_dagster.pipeline.verdicts.neighbours import find_neighbours
from aqi_dagster.windows import utc_now

NO_WEBHOOK = "no webhook is configured"

_log = logging.getLogger(__name__)

Post = Callable[[dict[str, Any]], None]

RegionsOf = Callable[[DuckDBPyConnection], Regions]
"""Gives the regions, as far as they are known behind a connection to the store."""


@dataclass
class DispatchReport:
    """Alerts that one dispatch sent on their own, folded into its digest, or could not send for want of a webhook."""

    sent: int = 0
    digested: int = 0
    not_sent: int = 0

    def __str__(self) -> str:
        outcomes = {
            "sent": self.sent,
            "folded into a digest": self.digested,
            f"not sent, as {NO_WEBHOOK}": self.not_sent,
        }
        return "Alerts: " + (", ".join(f"{n} {outcome}" for outcome, n in outcomes.items() if n) or "none was pending")


def dispatch(
    store: Store,
    post: Post | None,
    digest_after: timedelta,
    dagster_url: str | None = None,
    regions_of: RegionsOf | None = None,
) -> DispatchReport:
    """Send every alert that is due through ``post``, or note that there is no webhook if ``post`` is None.

    Windows that ended longer than ``digest_after`` ago go into one digest. Alerts that could not be sent for want of
    a webhook are sent later only while they are more recent than that. Messages link to the Dagster UI at
    ``dagster_url``, if there is one, and tell what a region's other sensors read, if ``regions_of`` knows them. Raises
    :class:`SlackError` if Slack does not take a message: at once if it may later, after the other messages if it
    refuses just this one. What is not sent stays pending.
    """
    with store.dispatching():
        return _dispatch(store, post, digest_after, dagster_url, regions_of)


def _dispatch(
    store: Store, post: Post | None, digest_after: timedelta, dagster_url: str | None, regions_of: RegionsOf | None
) -> DispatchReport:
    oldest = utc_now() - digest_after
    with store.exclusive() as connection:
        alerts = _due(connection)
        if post is not None and regions_of is not None:
            alerts = _with_neighbours(connection, alerts, oldest, regions_of)
    recent = [alert for alert in alerts if alert.window_end >= oldest]
    old = [alert for alert in alerts if alert.window_end < oldest and alert.status == "pending"]
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
                due = _send(store, post, message(alert, dagster_url), [alert], digest=False)
                report.sent += 1
            except SlackRefusedError as refusal:
                # It would stand in the way of the others at every dispatch to come.
                refusals.append(refusal)
    old = [alert for alert in old if alert.alert_id in due]
    if old:
        _send(store, post, digest_message(old, dagster_url), old, digest=True)
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
        "WITH earlier AS (SELECT region, window_start, max(sent_at) AS told_at, arg_max(told, sent_at) AS told_before "
        "FROM slack_alerts GROUP BY ALL) "
        "SELECT alert_id, region, window_start, slack_alerts.verdict, previous_verdict, told_at, told_before, status, "
        "sensors, min_event, max_pm25, count_anomalies, variation, max_pm25_corrected, aqi_of_max, aqi_category "
        "FROM slack_alerts JOIN earlier USING (region, window_start) "
        "LEFT JOIN regional_windows USING (region, window_start) "
        "WHERE status IN ('pending', 'not_sent') ORDER BY window_start, region, alert_id"
    ).fetchall()
    return [Alert(*row) for row in rows]


def _with_neighbours(
    connection: DuckDBPyConnection, alerts: Sequence[Alert], oldest: datetime, regions_of: RegionsOf
) -> list[Alert]:
    """``alerts``, those of windows that ended from ``oldest`` on with what the region's other sensors read."""
    told = [alert for alert in alerts if alert.sensors is not None and alert.window_end >= oldest]
    if not told:
        return list(alerts)
    try:
        regions = regions_of(connection)
        found = {
            alert.alert_id: find_neighbours(connection, alert.region, alert.window_start, alert.sensors or [], regions)
            for alert in told
        }
    except Exception as error:  # noqa: BLE001 (smoke must be told, whatever is wrong with the regions)
        _log.warning("Alerts do not tell what other sensors read: %s: %s", type(error).__name__, error)
        return list(alerts)
    return [replace(alert, neighbours=found.get(alert.alert_id)) for alert in alerts]


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
            connection.execute(
                "UPDATE slack_alerts SET told = words.told "
                "FROM (SELECT unnest($ids) AS alert_id, unnest($words) AS told) AS words "
                "WHERE slack_alerts.alert_id = words.alert_id",
                {"ids": ids, "words": [reason(alert) for alert in alerts]},
            )
            # These verdicts changed while Slack took the old ones: what is to follow must correct what was told.
            for region, window_start in overtaken:
                connection.execute(
                    "UPDATE slack_alerts SET status = 'superseded', outcome = 'an older verdict was sent meanwhile' "
                    "WHERE region = ? AND window_start = ? AND status IN ('pending', 'not_sent')",
                    [region, window_start],
                )
                run_script(
                    connection,
                    "aqi_dagster.pipeline.verdicts",
                    "sync_alerts.sql",
                    first=window_start,
                    last=window_start,
                    now=now,
                )
        due = connection.execute("SELECT alert_id FROM slack_alerts WHERE status IN ('pending', 'not_sent')").fetchall()
        return {alert_id for (alert_id,) in due}
