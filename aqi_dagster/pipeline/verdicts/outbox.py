"""The outbox: which verdicts Slack is to be told, and what came of it.

This module alone writes the table ``slack_alerts``. An alert is queued in the same transaction as its verdict; whoever
sends alerts reads here what is due and records each outcome here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.sql import Writer, run_script, scalar
from aqi_dagster.pipeline.verdicts.rule_changes import NETWORK, present_rules, told_from
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange

MOST_UNANSWERED = 3
"""Attempts in a row without a recorded outcome, after which nobody knows whether Slack has the alert."""

MOMENT = timedelta(minutes=30)
"""How long "now" is: an early warning and its kind that wait for longer are not told any more."""

_DUE = """
WITH earlier AS (
    SELECT
        kind,
        coalesce(subject, region) AS told_of,
        window_start,
        max(sent_at) AS told_at,
        arg_max(told, sent_at) AS told_before
    FROM slack_alerts
    GROUP BY kind, told_of, window_start
), broken AS (
    SELECT region, window_start, list(sensor || ': ' || reason ORDER BY sensor) AS sensors
    FROM sensor_health
    WHERE fault IS NOT NULL AND window_start IN (SELECT window_start FROM slack_alerts WHERE kind = 'weekly')
    GROUP BY region, window_start
)
SELECT
    alert_id,
    slack_alerts.region,
    slack_alerts.window_start,
    slack_alerts.verdict,
    previous_verdict,
    told_at,
    told_before,
    status,
    regional_windows.sensors,
    min_event,
    max_pm25,
    count_anomalies,
    variation,
    max_pm25_corrected,
    aqi_of_max,
    aqi_category,
    others_pm25,
    CASE WHEN slack_alerts.kind = 'weekly' THEN broken.sensors ELSE implausible END AS implausible,
    rules,
    level,
    healthy_sensors,
    broken_sensors,
    confidence,
    CASE
        WHEN
            slack_alerts.verdict = 'withdrawn'
            AND slack_alerts.window_start < (SELECT min(window_start) FROM windows WHERE scored IS NOT NULL)
            THEN 'The window lies before the first one now, and is not judged any more'
        ELSE coalesce(sensor_health.reason, regional_windows.reason)
    END AS reason,
    slack_alerts.kind,
    subject
FROM slack_alerts
LEFT JOIN earlier
    ON earlier.kind = slack_alerts.kind
    AND earlier.told_of = coalesce(subject, slack_alerts.region)
    AND earlier.window_start = slack_alerts.window_start
LEFT JOIN regional_windows
    ON slack_alerts.kind = 'verdict'
    AND regional_windows.region = slack_alerts.region
    AND regional_windows.window_start = slack_alerts.window_start
LEFT JOIN sensor_health
    ON slack_alerts.kind = 'sensor'
    AND sensor_health.sensor = subject
    AND sensor_health.window_start = slack_alerts.window_start
LEFT JOIN broken
    ON slack_alerts.kind = 'weekly'
    AND broken.region = slack_alerts.region
    AND broken.window_start = slack_alerts.window_start
WHERE status IN ('pending', 'not_sent')
ORDER BY slack_alerts.window_start, slack_alerts.region, alert_id
"""

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

_SUPERSEDE_STALE = """
UPDATE slack_alerts
SET status = 'superseded', outcome = 'its moment was over before it was sent', next_attempt_at = NULL
WHERE kind IN ('early', 'ongoing', 'all_clear') AND status = 'pending' AND created_at < $oldest
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

_NEWEST = """
CREATE OR REPLACE TEMP TABLE newest AS
SELECT max(alert_id)
FROM slack_alerts
WHERE status <> 'superseded'
GROUP BY kind, region, window_start, subject
"""

_DUE_AGAIN = """
SELECT min(coalesce(next_attempt_at, created_at + INTERVAL 2 MINUTES))
FROM slack_alerts
WHERE
    status = 'pending'
    AND CASE
        WHEN kind IN ('early', 'ongoing', 'all_clear') THEN created_at >= $now - $moment
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

_SUPERSEDE_SENSORS = """
UPDATE slack_alerts
SET status = 'superseded', outcome = 'the present rules tell nothing of sensors'
WHERE kind IN ('sensor', 'weekly') AND status IN ('pending', 'not_sent')
"""


@dataclass(frozen=True)
class Alert:
    """A row of the outbox with the regional window it speaks of; the latter's columns are None if it is withdrawn.

    One of ``kind`` sensor speaks of the sensor ``subject``, and one of kind weekly of all in ``implausible``.

    ``told_at`` is when Slack took ``previous_verdict``, naive UTC, and ``told_before`` the reason it was given;
    all are None in a window's first message, the last also where it was sent by a release that did not keep it.
    """

    alert_id: int
    region: str
    window_start: datetime
    verdict: str
    previous_verdict: str | None
    told_at: datetime | None
    told_before: str | None
    status: str
    sensors: list[str] | None
    min_event: datetime | None
    max_pm25: float | None
    count_anomalies: int | None
    variation: float | None
    max_pm25_corrected: float | None
    aqi_of_max: int | None
    aqi_category: str | None
    others_pm25: list[float] | None = None
    implausible: list[str] | None = None
    rules: str | None = None
    level: float | None = None
    healthy_sensors: list[str] | None = None
    broken_sensors: list[str] | None = None
    confidence: str | None = None
    reason: str | None = None
    kind: str = "verdict"
    subject: str | None = None

    @property
    def window_end(self) -> datetime:
        """End of the window, excluded."""
        return self.window_start + WINDOW_LENGTH


class Untold(NamedTuple):
    """An alert that Slack may not have: it waits after an attempt, was refused, or its outcome is not known."""

    alert_id: int
    region: str
    window_start: datetime
    verdict: str
    status: str
    attempts: int
    outcome: str


def queue_alerts(writer: Writer, windows: WindowRange, now: datetime) -> None:
    """Queue what is news about the verdicts of ``windows``, and supersede what no longer is; ``now`` is naive UTC.

    What was told of windows that a later first window leaves out is withdrawn: nobody stands by it any more.
    """
    tells_of_sensors = present_rules(writer) == NETWORK
    run_script(writer, __package__, "queue_left_out.sql", now=now, tells_of_sensors=tells_of_sensors)
    run_script(writer, __package__, "queue_alerts.sql", **windows.bounds, now=now, told_from=told_from(writer))


def queue_sensor_alerts(writer: Writer, windows: WindowRange, now: datetime) -> None:
    """Queue what is news about sensors' health in ``windows``: who broke, who is well again, who is still broken.

    What Slack was told of a sensor and window, and what is not so by its present health, is withdrawn.
    """
    run_script(writer, __package__, "queue_sensor_alerts.sql", **windows.bounds, now=now, told_from=told_from(writer))


def supersede_sensor_alerts(writer: Writer) -> None:
    """Let go of what was queued about sensors and not sent yet: the rules that judge now tell nothing of them."""
    writer.execute(_SUPERSEDE_SENSORS)


def due_alerts(connection: DuckDBPyConnection) -> list[Alert]:
    """The alerts that wait to be sent, or for a webhook, in order of time."""
    return [Alert(*row) for row in connection.execute(_DUE).fetchall()]


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


def record_attempt(writer: Writer, ids: list[int], now: datetime) -> set[int]:
    """Record that Slack is about to be asked; returns the ids of the alerts that are still due.

    Before the request, since an attempt of which nothing is known must count: else a store that cannot record Slack's
    answer would have the same alert posted over and over.
    """
    return {alert_id for (alert_id,) in writer.execute(_RECORD_ATTEMPT, {"ids": ids, "now": now}).fetchall()}


def give_up(writer: Writer, now: datetime) -> None:
    """Take out of the outbox what is not to be sent any more: what may have been told, and what is no longer now."""
    writer.execute(_GIVE_UP_UNANSWERED, {"most": MOST_UNANSWERED})
    writer.execute(_SUPERSEDE_STALE, {"oldest": now - MOMENT})


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

    An alert that nobody tried yet waits for two minutes: the run that queued it asks for its own attempt.
    """
    due: datetime | None = scalar(connection, _DUE_AGAIN, {"now": now, "recent": recent, "moment": MOMENT})
    return due


def _record_outcome(writer: Writer, ids: list[int], status: str, outcome: str, digest: bool, now: datetime) -> None:
    writer.execute(_RECORD_OUTCOME, {"status": status, "outcome": outcome, "digest": digest, "now": now, "ids": ids})
