"""What comes of telling Slack: each attempt is recorded before it, and its outcome after it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.sql import Writer, scalar
from aqi_dagster.pipeline.verdicts.outbox.queue import MOMENT, queue_alerts, queue_sensor_alerts, supersede_stale
from aqi_dagster.pipeline.verdicts.rule_changes import NETWORK, present_rules
from aqi_dagster.windows import WindowRange

MOST_UNANSWERED = 3
"""Attempts in a row without a recorded outcome, after which nobody knows whether Slack has the alert."""

# The pause after an attempt doubles from one minute to an hour or so.
_RECORD_ATTEMPT = """
UPDATE slack_alerts
SET
    attempts = attempts + 1,
    unanswered = unanswered + 1,
    next_attempt_at = $now + to_minutes((2 ** least(attempts, 6))::INTEGER)
WHERE list_contains($ids, alert_id) AND status IN ('pending', 'not_sent')
RETURNING alert_id
"""

_GIVE_UP_UNANSWERED = """
UPDATE slack_alerts
SET
    status = 'unknown',
    outcome = 'no outcome of the last attempts could be recorded: Slack may have it or not',
    next_attempt_at = NULL
WHERE status IN ('pending', 'not_sent') AND unanswered >= $most
"""

_NEWEST = """
CREATE OR REPLACE TEMP TABLE newest AS
SELECT max(alert_id)
FROM slack_alerts
WHERE status <> 'superseded'
GROUP BY kind, region, window_start, subject
"""

# What something newer of the same region, window and sensor has replaced is not told again.
_SEND_AGAIN = """
UPDATE slack_alerts
SET
    status = CASE WHEN alert_id IN (FROM newest) THEN 'pending' ELSE 'superseded' END,
    outcome = CASE WHEN alert_id IN (FROM newest) THEN 'to be sent again' ELSE 'something newer is told instead' END,
    unanswered = 0,
    next_attempt_at = NULL
WHERE status IN ('unknown', 'refused')
RETURNING status = 'pending'
"""

_DUE_AGAIN = """
SELECT min(coalesce(next_attempt_at, CASE WHEN as_of IS NULL THEN created_at + INTERVAL 2 MINUTES ELSE created_at END))
FROM slack_alerts
WHERE
    status = 'pending'
    AND CASE
        WHEN as_of IS NOT NULL AND kind <> 'muted' THEN created_at >= $now - $moment
        ELSE window_start + INTERVAL 12 HOURS >= $now - $recent
    END
"""

_UNTOLD = """
SELECT alert_id, region, window_start, verdict, status, attempts, coalesce(outcome, 'no outcome was recorded')
FROM slack_alerts
WHERE
    (status IN ('unknown', 'refused') AND alert_id IN (FROM newest))
    OR (status = 'pending' AND attempts > 0 AND window_start + INTERVAL 12 HOURS >= $now - $recent)
ORDER BY alert_id
"""

_RECORD_OUTCOME = """
UPDATE slack_alerts
SET
    status = $status,
    outcome = $outcome,
    digest = $digest,
    unanswered = 0,
    next_attempt_at = CASE WHEN $status = 'pending' THEN next_attempt_at END,
    sent_at = CASE WHEN $status = 'sent' THEN $now END
WHERE list_contains($ids, alert_id) AND ($status = 'sent' OR status <> 'superseded')
"""

_RECORD_TOLD = """
UPDATE slack_alerts
SET told = words.told
FROM (SELECT unnest($ids) AS alert_id, unnest($words) AS told) AS words
WHERE slack_alerts.alert_id = words.alert_id
"""

_SUPERSEDED = """
SELECT kind, coalesce(subject, region) AS told_of, window_start
FROM slack_alerts
WHERE kind IN ('verdict', 'sensor') AND list_contains($ids, alert_id) AND status = 'superseded'
"""

_SUPERSEDE_WAITING = """
UPDATE slack_alerts
SET status = 'superseded', outcome = 'an older verdict was sent meanwhile'
WHERE
    kind = $kind
    AND coalesce(subject, region) = $told_of
    AND window_start = $window
    AND status IN ('pending', 'not_sent')
"""


class Untold(NamedTuple):
    """An alert that Slack may not have: it waits after an attempt, was refused, or its outcome is not known."""

    alert_id: int
    region: str
    window_start: datetime
    verdict: str
    status: str
    attempts: int
    outcome: str


def record_attempt(writer: Writer, ids: list[int], now: datetime) -> set[int]:
    """Record that Slack is about to be asked; returns the ids of the alerts that are still due.

    Before the request, since an attempt of which nothing is known must count: else a store that cannot record Slack's
    answer would have the same alert posted over and over.
    """
    return {alert_id for (alert_id,) in writer.execute(_RECORD_ATTEMPT, {"ids": ids, "now": now}).fetchall()}


def record_sent(writer: Writer, told: Mapping[int, str], digest: bool, now: datetime) -> None:
    """Record that Slack took alerts: ``told`` has the reason that each gave, by id.

    Where a verdict changed while Slack took the old one, what is to follow becomes a correction of what was told.
    """
    ids = [*told]
    superseded = writer.execute(_SUPERSEDED, {"ids": ids}).fetchall()
    _record_outcome(writer, ids, "sent", "Slack took it", digest, now)
    writer.execute(_RECORD_TOLD, {"ids": ids, "words": [*told.values()]})
    for kind, told_of, window in superseded:
        writer.execute(_SUPERSEDE_WAITING, {"kind": kind, "told_of": told_of, "window": window})
        if kind == "verdict":
            queue_alerts(writer, WindowRange(window, window), now)
        elif present_rules(writer) == NETWORK:
            queue_sensor_alerts(writer, WindowRange(window, window), now)


def record_failure(writer: Writer, ids: list[int], status: str, outcome: str, now: datetime) -> None:
    """Record that alerts were not sent.

    They stay ``pending``, are ``not_sent`` for want of a webhook, or ``refused`` and not to be tried by itself again.
    """
    _record_outcome(writer, ids, status, outcome, False, now)


def give_up(writer: Writer, now: datetime) -> None:
    """Take out of the outbox what is not to be sent any more: what may have been told, and what is no longer now."""
    writer.execute(_GIVE_UP_UNANSWERED, {"most": MOST_UNANSWERED})
    supersede_stale(writer, now)


def send_again(writer: Writer) -> int:
    """Have what is unknown or was refused sent again, unless something newer replaced it; returns how many."""
    writer.execute(_NEWEST)
    return sum(again for (again,) in writer.execute(_SEND_AGAIN).fetchall())


def untold_alerts(connection: DuckDBPyConnection, now: datetime, recent: timedelta) -> list[Untold]:
    """What is unknown or refused, of any window, and what waits after an attempt, of those ended within ``recent``."""
    connection.execute(_NEWEST)
    return [Untold(*row) for row in connection.execute(_UNTOLD, {"now": now, "recent": recent}).fetchall()]


def due_again(connection: DuckDBPyConnection, now: datetime, recent: timedelta) -> datetime | None:
    """When the next pending alert is to be tried by itself, of windows that ended within ``recent``; None if none is.

    An alert that nobody tried yet waits for two minutes, since the run that queued it asks for its own attempt. One
    that tells of now does not.
    """
    due: datetime | None = scalar(connection, _DUE_AGAIN, {"now": now, "recent": recent, "moment": MOMENT})
    return due


def _record_outcome(writer: Writer, ids: list[int], status: str, outcome: str, digest: bool, now: datetime) -> None:
    writer.execute(_RECORD_OUTCOME, {"status": status, "outcome": outcome, "digest": digest, "now": now, "ids": ids})
