"""The channels that are told of alerts: Slack always, others as long as they are configured."""

from collections.abc import Collection
from datetime import datetime, timedelta

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.pipeline.verdicts.outbox.moments import MOMENT

SLACK = "slack"
"""The channel whose deliveries are recorded with the alerts themselves."""

_FORGET = "DELETE FROM channels WHERE channel = ?"

_LET_GO = """
UPDATE deliveries
SET status = 'not_sent', outcome = 'the channel is not configured', next_attempt_at = NULL
WHERE channel = $channel AND status = 'pending'
"""

_ADD = "INSERT INTO channels VALUES (?, ?)"

_WAIT_AGAIN = """
UPDATE deliveries
SET status = 'pending', outcome = 'the channel is configured again', unanswered = 0
FROM slack_alerts
WHERE
    deliveries.alert_id = slack_alerts.alert_id
    AND channel = $channel
    AND deliveries.status = 'not_sent'
    AND CASE
        WHEN as_of IS NOT NULL THEN created_at >= $now - $moment
        ELSE window_start + INTERVAL 12 HOURS >= $now - $recent
    END
"""

# What is true of recent windows and of this moment by the alerts of Slack, whether it took them or not.
_TELL_RECENT = """
WITH newest AS (
    SELECT max(alert_id) AS alert_id
    FROM slack_alerts
    WHERE status <> 'superseded'
    GROUP BY kind, coalesce(subject, region), window_start
), known AS (
    SELECT kind, coalesce(subject, region) AS told_of, window_start, arg_max(verdict, alert_id) AS verdict
    FROM channel_alerts
    WHERE channel = $channel AND status IN ('sent', 'unknown', 'pending')
    GROUP BY ALL
)
INSERT INTO deliveries BY NAME
SELECT alert_id, $channel AS channel, 'pending' AS status, known.verdict AS previous_verdict
FROM slack_alerts
SEMI JOIN newest USING (alert_id)
LEFT JOIN known
    ON known.kind = slack_alerts.kind
    AND known.told_of = coalesce(subject, region)
    AND known.window_start = slack_alerts.window_start
WHERE
    slack_alerts.status <> 'muted'
    AND slack_alerts.verdict IS DISTINCT FROM coalesce(known.verdict, 'withdrawn')
    AND CASE
        WHEN as_of IS NOT NULL THEN slack_alerts.kind <> 'all_clear' AND created_at >= $now - $moment
        ELSE slack_alerts.window_start + INTERVAL 12 HOURS >= $now - $recent
    END
    AND alert_id NOT IN (SELECT alert_id FROM deliveries WHERE channel = $channel)
ORDER BY alert_id
"""


def told_channels(connection: DuckDBPyConnection) -> list[str]:
    """The names of the channels that are told now, Slack first."""
    others = connection.execute("SELECT channel FROM channels ORDER BY channel").fetchall()
    return [SLACK, *(name for (name,) in others)]


def tell_channels(writer: Writer, configured: Collection[str], now: datetime, recent: timedelta) -> None:
    """Have the ``configured`` channels told from now on (naive UTC), beside Slack, and no others.

    A channel that is new is told of windows that ended within ``recent``, and of what tells of now; not of what was
    told before that. What waits for a channel that is gone waits no longer.
    """
    present = set(told_channels(writer)) - {SLACK}
    for channel in sorted(present - set(configured)):
        writer.execute(_FORGET, [channel])
        writer.execute(_LET_GO, {"channel": channel})
    for channel in sorted(set(configured) - present):
        values = {"channel": channel, "now": now, "recent": recent, "moment": MOMENT}
        writer.execute(_ADD, [channel, now])
        writer.execute(_WAIT_AGAIN, values)
        writer.execute(_TELL_RECENT, values)
