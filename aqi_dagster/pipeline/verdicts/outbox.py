"""The outbox: which verdicts Slack is to be told, and what came of it.

This module alone writes the table ``slack_alerts``. An alert is queued in the same transaction as its verdict; whoever
sends alerts reads here what is due and records each outcome here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.sql import Writer, run_script, scalar
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, window_start

_LAST_JUDGED = "SELECT max(window_start) FROM windows WHERE classified IS NOT NULL"

_NEWEST_READ = "SELECT max(window_start) FROM windows WHERE readings > 0"

_BEFORE_ALL_WINDOWS = datetime(1970, 1, 1)  # noqa: DTZ001 (naive UTC by convention)

_DUE = """
WITH earlier AS (
    SELECT region, window_start, max(sent_at) AS told_at, arg_max(told, sent_at) AS told_before
    FROM slack_alerts
    WHERE kind = 'verdict'
    GROUP BY region, window_start
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
    CASE WHEN kind = 'weekly' THEN broken.sensors ELSE implausible END AS implausible,
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
    kind,
    subject
FROM slack_alerts
LEFT JOIN earlier
    ON kind = 'verdict'
    AND earlier.region = slack_alerts.region
    AND earlier.window_start = slack_alerts.window_start
LEFT JOIN regional_windows
    ON kind = 'verdict'
    AND regional_windows.region = slack_alerts.region
    AND regional_windows.window_start = slack_alerts.window_start
LEFT JOIN sensor_health
    ON kind = 'sensor'
    AND sensor_health.sensor = subject
    AND sensor_health.window_start = slack_alerts.window_start
LEFT JOIN broken
    ON kind = 'weekly'
    AND broken.region = slack_alerts.region
    AND broken.window_start = slack_alerts.window_start
WHERE status IN ('pending', 'not_sent')
ORDER BY slack_alerts.window_start, slack_alerts.region, alert_id
"""

_RECORD_OUTCOME = """
UPDATE slack_alerts
SET
    status = $status,
    outcome = $outcome,
    digest = $digest,
    attempts = attempts + 1,
    sent_at = CASE WHEN $status = 'sent' THEN $now END
WHERE list_contains($ids, alert_id) AND ($status = 'sent' OR status <> 'superseded')
"""

_RECORD_TOLD = """
UPDATE slack_alerts
SET told = words.told
FROM (SELECT unnest($ids) AS alert_id, unnest($words) AS told) AS words
WHERE slack_alerts.alert_id = words.alert_id
"""

_SUPERSEDED_WINDOWS = """
SELECT region, window_start
FROM slack_alerts
WHERE kind = 'verdict' AND list_contains($ids, alert_id) AND status = 'superseded'
"""

_SUPERSEDE_WAITING = """
UPDATE slack_alerts
SET status = 'superseded', outcome = 'an older verdict was sent meanwhile'
WHERE kind = 'verdict' AND region = $region AND window_start = $window AND status IN ('pending', 'not_sent')
"""

# What lies before all scored windows, scoring from a later first window has left out.
_SUPERSEDE_LEFT_OUT = """
UPDATE slack_alerts
SET status = 'superseded', outcome = 'its window lies before the first one now'
WHERE
    status IN ('pending', 'not_sent')
    AND verdict <> 'withdrawn'
    AND window_start < (SELECT min(window_start) FROM windows WHERE scored IS NOT NULL)
"""

_WITHDRAW_LEFT_OUT = """
INSERT INTO slack_alerts (region, window_start, verdict, previous_verdict, status, created_at)
SELECT
    region,
    window_start,
    'withdrawn',
    arg_max(verdict, alert_id) FILTER (status = 'sent') AS told,
    'pending',
    $now
FROM slack_alerts
WHERE kind = 'verdict' AND window_start < (SELECT min(window_start) FROM windows WHERE scored IS NOT NULL)
GROUP BY region, window_start
HAVING told <> 'withdrawn' AND NOT bool_or(status IN ('pending', 'not_sent'))
ORDER BY window_start, region
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


def queue_alerts(writer: Writer, windows: WindowRange, now: datetime) -> None:
    """Queue what is news about the verdicts of ``windows``, and supersede what no longer is; ``now`` is naive UTC.

    What was told of windows that a later first window leaves out is withdrawn: nobody stands by it any more.
    """
    writer.execute(_SUPERSEDE_LEFT_OUT)
    writer.execute(_WITHDRAW_LEFT_OUT, {"now": now})
    told_from = _told_from(writer)
    run_script(writer, __package__, "queue_alerts.sql", **windows.bounds, now=now, told_from=told_from)


def queue_sensor_alerts(writer: Writer, windows: WindowRange, now: datetime) -> None:
    """Queue what is news about sensors' health in ``windows``: who broke, who is well again, who is still broken."""
    told_from = _told_from(writer)
    run_script(writer, __package__, "queue_sensor_alerts.sql", **windows.bounds, now=now, told_from=told_from)


def record_rules(writer: Writer, rules: str, now: datetime) -> None:
    """Record that verdicts are reached by ``rules`` from ``now`` on, if they were reached by others before.

    It is called before verdicts are. The newest window that has ended, which the tick at hand is about, counts as one
    of the new rules unless the others judged it: else neither would tell of it. No clock that is ahead keeps the new
    rules from telling of windows that are still to come: none counts as before that lies behind all readings.
    """
    before = scalar(writer, "SELECT arg_max(rules, rowid) FROM rule_changes")
    if before != rules:
        # The first rules of a store may tell of any window.
        changed_at = _BEFORE_ALL_WINDOWS
        read = scalar(writer, _NEWEST_READ)
        if before is not None and read is not None:
            now = min(now, read + WINDOW_LENGTH)
            newest = window_start(now) - WINDOW_LENGTH
            last = scalar(writer, _LAST_JUDGED)
            changed_at = newest if last is not None and last < newest else now
        writer.execute("INSERT INTO rule_changes VALUES (?, ?)", [rules, changed_at])


def _told_from(connection: DuckDBPyConnection) -> datetime:
    """When the present rules came: windows that had ended by then were told of, or not, by those before."""
    changed_at: datetime | None = scalar(connection, "SELECT arg_max(changed_at, rowid) FROM rule_changes")
    return changed_at or _BEFORE_ALL_WINDOWS


def due_alerts(connection: DuckDBPyConnection) -> list[Alert]:
    """The alerts that wait to be sent, or for a webhook, in order of time."""
    return [Alert(*row) for row in connection.execute(_DUE).fetchall()]


def record_sent(writer: Writer, told: Mapping[int, str], digest: bool, now: datetime) -> None:
    """Record that Slack took alerts: ``told`` has the reason that each gave, by id.

    Where a verdict changed while Slack took the old one, what is to follow becomes a correction of what was told.
    """
    ids = [*told]
    superseded = writer.execute(_SUPERSEDED_WINDOWS, {"ids": ids}).fetchall()
    _record_outcome(writer, ids, "sent", "Slack took it", digest, now)
    writer.execute(_RECORD_TOLD, {"ids": ids, "words": [*told.values()]})
    for region, window in superseded:
        writer.execute(_SUPERSEDE_WAITING, {"region": region, "window": window})
        queue_alerts(writer, WindowRange(window, window), now)


def record_failure(writer: Writer, ids: list[int], status: str, outcome: str, now: datetime) -> None:
    """Record that alerts were not sent: they stay ``pending``, or are ``not_sent`` for want of a webhook."""
    _record_outcome(writer, ids, status, outcome, False, now)


def due_ids(connection: DuckDBPyConnection) -> set[int]:
    """The ids of the alerts that wait to be sent, or for a webhook."""
    rows = connection.execute("SELECT alert_id FROM slack_alerts WHERE status IN ('pending', 'not_sent')").fetchall()
    return {alert_id for (alert_id,) in rows}


def _record_outcome(writer: Writer, ids: list[int], status: str, outcome: str, digest: bool, now: datetime) -> None:
    writer.execute(_RECORD_OUTCOME, {"status": status, "outcome": outcome, "digest": digest, "now": now, "ids": ids})
