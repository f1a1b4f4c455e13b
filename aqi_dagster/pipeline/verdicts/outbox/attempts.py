"""What comes of telling a channel: each attempt is recorded before it, and its outcome after it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.sql import Writer, scalar
from aqi_dagster.pipeline.verdicts.outbox.channels import SLACK, told_channels
from aqi_dagster.pipeline.verdicts.outbox.moments import MOMENT
from aqi_dagster.pipeline.verdicts.outbox.queue import queue_alerts, queue_sensor_alerts, supersede_stale
from aqi_dagster.pipeline.verdicts.rule_changes import NETWORK, present_rules
from aqi_dagster.windows import WindowRange

MOST_UNANSWERED = 3
"""Attempts in a row without a recorded outcome, after which nobody knows whether a channel has the alert."""

_TABLES = {SLACK: ("slack_alerts", "$channel = 'slack'")}

_OTHERS = ("deliveries", "channel = $channel")

# The pause after an attempt doubles from one minute to an hour or so.
_RECORD_ATTEMPT = """
UPDATE {deliveries}
SET
    attempts = attempts + 1,
    unanswered = unanswered + 1,
    next_attempt_at = $now + to_minutes((2 ** least(attempts, 6))::INTEGER)
WHERE {of_channel} AND list_contains($ids, alert_id) AND status IN ('pending', 'not_sent')
RETURNING alert_id
"""

_GIVE_UP_UNANSWERED = """
UPDATE {deliveries}
SET
    status = 'unknown',
    outcome = 'no outcome of the last attempts could be recorded: the channel may have it or not',
    next_attempt_at = NULL
WHERE {of_channel} AND status IN ('pending', 'not_sent') AND unanswered >= $most
"""

_NEWEST = """
CREATE OR REPLACE TEMP TABLE newest AS
SELECT channel, max(alert_id) AS alert_id
FROM channel_alerts
WHERE status <> 'superseded'
GROUP BY channel, kind, region, window_start, subject
"""

# What something newer of the same region, window and sensor has replaced is not told again.
_SEND_AGAIN = """
UPDATE {deliveries}
SET
    status = CASE WHEN {is_newest} THEN 'pending' ELSE 'superseded' END,
    outcome = CASE WHEN {is_newest} THEN 'to be sent again' ELSE 'something newer is told instead' END,
    unanswered = 0,
    next_attempt_at = NULL
WHERE {of_channel} AND status IN ('unknown', 'refused')
RETURNING status = 'pending'
"""

_DUE_AGAIN = """
SELECT min(coalesce(next_attempt_at, CASE WHEN as_of IS NULL THEN created_at + INTERVAL 2 MINUTES ELSE created_at END))
FROM channel_alerts SEMI JOIN told_channels USING (channel)
WHERE
    status = 'pending'
    AND CASE
        WHEN as_of IS NOT NULL AND kind <> 'muted' THEN created_at >= $now - $moment
        ELSE window_start + INTERVAL 12 HOURS >= $now - $recent
    END
"""

_UNTOLD = """
SELECT alert_id, region, window_start, verdict, status, attempts, coalesce(outcome, 'no outcome was recorded'), channel
FROM channel_alerts SEMI JOIN told_channels USING (channel)
WHERE
    (status IN ('unknown', 'refused') AND (channel, alert_id) IN (SELECT (channel, alert_id) FROM newest))
    OR (status = 'pending' AND attempts > 0 AND window_start + INTERVAL 12 HOURS >= $now - $recent)
ORDER BY channel <> 'slack', channel, alert_id
"""

_RECORD_OUTCOME = """
UPDATE {deliveries}
SET
    status = $status,
    outcome = $outcome,
    digest = $digest,
    unanswered = 0,
    next_attempt_at = CASE WHEN $status = 'pending' THEN next_attempt_at END,
    sent_at = CASE WHEN $status = 'sent' THEN $now END
WHERE {of_channel} AND list_contains($ids, alert_id) AND ($status = 'sent' OR status <> 'superseded')
"""

_RECORD_TOLD = """
UPDATE {deliveries}
SET told = words.told
FROM (SELECT unnest($ids) AS alert_id, unnest($words) AS told) AS words
WHERE {of_channel} AND {deliveries}.alert_id = words.alert_id
"""

_SUPERSEDED = """
SELECT kind, coalesce(subject, region) AS told_of, window_start
FROM channel_alerts
WHERE
    channel = $channel
    AND kind IN ('verdict', 'sensor')
    AND list_contains($ids, alert_id)
    AND status = 'superseded'
"""

_SUPERSEDE_WAITING = """
UPDATE {deliveries}
SET status = 'superseded', outcome = 'an older verdict was sent meanwhile'
WHERE
    {of_channel}
    AND status IN ('pending', 'not_sent')
    AND alert_id IN (
        SELECT alert_id
        FROM slack_alerts
        WHERE kind = $kind AND coalesce(subject, region) = $told_of AND window_start = $window
    )
"""


class Untold(NamedTuple):
    """An alert that a channel may not have: it waits after an attempt, was refused, or its outcome is not known."""

    alert_id: int
    region: str
    window_start: datetime
    verdict: str
    status: str
    attempts: int
    outcome: str
    channel: str = SLACK


def record_attempt(writer: Writer, ids: list[int], now: datetime, channel: str = SLACK) -> set[int]:
    """Record that a channel is about to be asked; returns the ids of the alerts that are still due.

    Before the request, since an attempt of which nothing is known must count: else a store that cannot record the
    answer would have the same alert posted over and over.
    """
    return {alert_id for (alert_id,) in _execute(writer, _RECORD_ATTEMPT, channel, ids=ids, now=now)}


def record_sent(writer: Writer, told: Mapping[int, str], digest: bool, now: datetime, channel: str = SLACK) -> None:
    """Record that a channel took alerts: ``told`` has the reason that each gave, by id.

    Where a verdict changed while the old one was taken, what is to follow becomes a correction of what was told.
    """
    ids = [*told]
    superseded = writer.execute(_SUPERSEDED, {"ids": ids, "channel": channel}).fetchall()
    outcome = "Slack took it" if channel == SLACK else "it was taken"
    _execute(writer, _RECORD_OUTCOME, channel, ids=ids, status="sent", outcome=outcome, digest=digest, now=now)
    _execute(writer, _RECORD_TOLD, channel, ids=ids, words=[*told.values()])
    for kind, told_of, window in superseded:
        _execute(writer, _SUPERSEDE_WAITING, channel, kind=kind, told_of=told_of, window=window)
        if kind == "verdict":
            queue_alerts(writer, WindowRange(window, window), now)
        elif present_rules(writer) == NETWORK:
            queue_sensor_alerts(writer, WindowRange(window, window), now)


def record_failure(
    writer: Writer, ids: list[int], status: str, outcome: str, now: datetime, channel: str = SLACK
) -> None:
    """Record that alerts were not sent.

    They stay ``pending``, are ``not_sent`` for want of a webhook, or ``refused`` and not to be tried by itself again.
    """
    _execute(writer, _RECORD_OUTCOME, channel, ids=ids, status=status, outcome=outcome, digest=False, now=now)


def give_up(writer: Writer, now: datetime) -> None:
    """Take out of the outbox what is not to be sent any more: what may have been told, and what is no longer now."""
    for channel in told_channels(writer):
        _execute(writer, _GIVE_UP_UNANSWERED, channel, most=MOST_UNANSWERED)
    supersede_stale(writer, now)


def send_again(writer: Writer) -> int:
    """Have what is unknown or was refused sent again, unless something newer replaced it; returns how many.

    What several channels may not have counts for each.
    """
    writer.execute(_NEWEST)
    found = [_execute(writer, _SEND_AGAIN, channel) for channel in told_channels(writer)]
    return sum(again for rows in found for (again,) in rows)


def untold_alerts(connection: DuckDBPyConnection, now: datetime, recent: timedelta) -> list[Untold]:
    """What is unknown or refused, of any window, and what waits after an attempt, of those ended within ``recent``.

    Of each channel that is told now, Slack first.
    """
    connection.execute(_NEWEST)
    return [Untold(*row) for row in connection.execute(_UNTOLD, {"now": now, "recent": recent}).fetchall()]


def due_again(connection: DuckDBPyConnection, now: datetime, recent: timedelta) -> datetime | None:
    """When the next pending alert is to be tried by itself, of windows that ended within ``recent``; None if none is.

    An alert that nobody tried yet waits for two minutes, since the run that queued it asks for its own attempt. One
    that tells of now does not.
    """
    due: datetime | None = scalar(connection, _DUE_AGAIN, {"now": now, "recent": recent, "moment": MOMENT})
    return due


def _execute(writer: Writer, statement: str, channel: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Execute ``statement`` on the table in which the deliveries of ``channel`` are recorded."""
    table, of_channel = _TABLES.get(channel, _OTHERS)
    is_newest = "alert_id IN (SELECT alert_id FROM newest WHERE newest.channel = $channel)"
    text = statement.format(deliveries=table, of_channel=of_channel, is_newest=is_newest)
    return writer.execute(text, {"channel": channel, **parameters}).fetchall()
