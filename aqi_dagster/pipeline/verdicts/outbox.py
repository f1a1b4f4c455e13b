"""The outbox: which verdicts Slack is to be told, and what came of it.

This module alone writes the table ``slack_alerts``. An alert is queued in the same transaction as its verdict; whoever
sends alerts reads here what is due and records each outcome here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.sql import Writer, run_script, scalar
from aqi_dagster.pipeline.verdicts.mutes import Mute
from aqi_dagster.pipeline.verdicts.rule_changes import NETWORK, present_rules, told_from
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, window_start

MOST_UNANSWERED = 3
"""Attempts in a row without a recorded outcome, after which nobody knows whether Slack has the alert."""

MOMENT = timedelta(minutes=30)
"""How long "now" is: an early warning and its kind that wait for longer are not told any more."""

MomentKind = Literal["early", "ongoing", "all_clear", "muted"]

MomentVerdict = Literal["smoke", "clear", "withdrawn", "muted"]

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
), early AS (
    SELECT region, window_start, min(as_of) AS warned_at
    FROM slack_alerts
    WHERE kind = 'early' AND status IN ('sent', 'unknown')
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
    CASE WHEN slack_alerts.kind = 'weekly' THEN broken.sensors ELSE implausible END AS implausible,
    rules,
    coalesce(slack_alerts.level, regional_windows.level) AS level,
    coalesce(healthy, healthy_sensors) AS healthy_sensors,
    coalesce(broken, broken_sensors) AS broken_sensors,
    confidence,
    CASE
        WHEN
            slack_alerts.verdict = 'withdrawn'
            AND slack_alerts.window_start < (SELECT min(window_start) FROM windows WHERE scored IS NOT NULL)
            THEN 'The window lies before the first one now, and is not judged any more'
        ELSE coalesce(slack_alerts.reason, sensor_health.reason, regional_windows.reason)
    END AS reason,
    slack_alerts.kind,
    subject,
    as_of,
    trend,
    since,
    aqi_of_nowcast,
    warned_at,
    (
        SELECT max(before.window_start)
        FROM slack_alerts AS before
        WHERE
            slack_alerts.kind = 'sensor'
            AND before.kind = 'sensor'
            AND before.subject = slack_alerts.subject
            AND before.verdict = 'broken'
            AND before.status = 'sent'
            AND before.window_start < slack_alerts.window_start
    ) AS broke_before
FROM slack_alerts
LEFT JOIN early
    ON slack_alerts.kind = 'verdict'
    AND early.region = slack_alerts.region
    AND early.window_start = slack_alerts.window_start
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
WHERE status = 'pending' OR (status = 'not_sent' AND as_of IS NULL)
-- What tells of now goes first, however many windows wait.
ORDER BY as_of IS NULL, slack_alerts.window_start, slack_alerts.region, alert_id
"""

# Of sensors that have had a fault since they last took part without one.
_BROKEN_SINCE = """
SELECT sensor, min(window_start) FILTER (fault IS NOT NULL AND window_start > last_without)
FROM (
    SELECT
        *,
        coalesce(
            max(window_start) FILTER (fault IS NULL AND hours >= 6) OVER (PARTITION BY sensor),
            TIMESTAMP '1970-01-01'
        ) AS last_without
    FROM sensor_health
    WHERE window_start >= (SELECT max(window_start) - INTERVAL 30 DAYS FROM sensor_health)
)
GROUP BY sensor
HAVING max(window_start) FILTER (fault IS NOT NULL AND window_start > last_without) IS NOT NULL
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
WHERE as_of IS NOT NULL AND status = 'pending' AND created_at < $oldest
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
SELECT min(coalesce(next_attempt_at, CASE WHEN as_of IS NULL THEN created_at + INTERVAL 2 MINUTES ELSE created_at END))
FROM slack_alerts
WHERE
    status = 'pending'
    AND CASE
        WHEN as_of IS NOT NULL THEN created_at >= $now - $moment
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


_LAST_MOMENTS = """
SELECT
    region,
    arg_max(kind, alert_id) AS kind,
    arg_max(window_start, alert_id) AS told_in,
    arg_max(window_start, alert_id) FILTER (kind = 'early') AS warned_in
FROM slack_alerts
WHERE kind IN ('early', 'ongoing', 'all_clear') AND status <> 'superseded'
GROUP BY region
"""

_INSERT_MOMENT = """
INSERT INTO slack_alerts BY NAME
SELECT
    $kind AS kind,
    $verdict AS verdict,
    $region AS region,
    $window_start AS window_start,
    'pending' AS status,
    $as_of AS created_at,
    $as_of AS as_of,
    $level AS level,
    $trend AS trend,
    $since AS since,
    $healthy AS healthy,
    $broken AS broken,
    $aqi_of_nowcast AS aqi_of_nowcast,
    $reason AS reason
"""


class LastMoment(NamedTuple):
    """The last alert of a region that told of now: its kind and window, and the window of the last early warning."""

    region: str
    kind: str
    told_in: datetime
    warned_in: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether smoke was told that was not said to be over."""
        return self.kind != "all_clear"


@dataclass(frozen=True)
class Moment:
    """What is to be told of a region's air at ``as_of``, by the columns of ``slack_alerts``."""

    kind: MomentKind
    verdict: MomentVerdict
    region: str
    as_of: datetime
    level: float | None
    trend: float | None
    since: datetime
    healthy: list[str]
    broken: list[str]
    aqi_of_nowcast: int | None
    reason: str


@dataclass(frozen=True)
class Alert:
    """A row of the outbox with the regional window it speaks of; the latter's columns are None if it is withdrawn.

    One of ``kind`` sensor speaks of the sensor ``subject``, and one of kind weekly of all in ``implausible``.

    ``told_at`` is when Slack took ``previous_verdict``, naive UTC, and ``told_before`` the reason it was given;
    all are None in a window's first message, the last also where it was sent by a release that did not keep it.
    ``warned_at`` is when an early warning of the same window was reached. Only what tells of now has ``as_of``,
    ``trend`` (ug/m3), ``since`` and ``aqi_of_nowcast``. ``broke_before`` is the window in which the sensor that it is
    about was last told to be broken. ``names`` are those of sensors that told one, and ``broken_since`` is the first
    window of the fault that a sensor has now.
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
    as_of: datetime | None = None
    trend: float | None = None
    since: datetime | None = None
    aqi_of_nowcast: int | None = None
    warned_at: datetime | None = None
    broke_before: datetime | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    broken_since: Mapping[str, datetime] = field(default_factory=dict)

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


def last_moments(connection: DuckDBPyConnection) -> dict[str, LastMoment]:
    """By region, what was last told of now, or is to be; what was superseded was not."""
    found = [LastMoment(*row) for row in connection.execute(_LAST_MOMENTS).fetchall()]
    return {one.region: one for one in found}


def queue_moments(writer: Writer, moments: Iterable[Moment]) -> None:
    """Queue what is to be told of now; the caller has begun the transaction in which it was found out."""
    for moment in moments:
        writer.execute(_INSERT_MOMENT, {**vars(moment), "window_start": window_start(moment.as_of)})


def queue_mute(writer: Writer, mute: Mute) -> None:
    """Queue that a region is muted, or not any more; the caller has begun the transaction that records it."""
    until = f"until {mute.until:%Y-%m-%d %H:%M} UTC" if mute.until > mute.muted_at else "no longer"
    reason = f"Muted {until}: {mute.reason}"
    told = Moment("muted", "muted", mute.region, mute.muted_at, None, None, mute.muted_at, [], [], None, reason)
    queue_moments(writer, [told])


def supersede_sensor_alerts(writer: Writer) -> None:
    """Let go of what was queued about sensors and not sent yet: the rules that judge now tell nothing of them."""
    writer.execute(_SUPERSEDE_SENSORS)


def due_alerts(connection: DuckDBPyConnection) -> list[Alert]:
    """The alerts that wait to be sent, or for a webhook, in order of time."""
    rows = connection.execute(_DUE).fetchall()
    if not rows:
        return []
    names = dict(connection.execute("SELECT sensor, name FROM sensors WHERE name IS NOT NULL").fetchall())
    since = dict(connection.execute(_BROKEN_SINCE).fetchall())
    return [replace(Alert(*row), names=names, broken_since=since) for row in rows]


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
    supersede_stale(writer, now)


def supersede_stale(writer: Writer, now: datetime) -> None:
    """Let go of what told of a moment that is over by ``now`` (naive UTC) and was not sent: nobody was told."""
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

    An alert that nobody tried yet waits for two minutes, since the run that queued it asks for its own attempt. One
    that tells of now does not.
    """
    due: datetime | None = scalar(connection, _DUE_AGAIN, {"now": now, "recent": recent, "moment": MOMENT})
    return due


def _record_outcome(writer: Writer, ids: list[int], status: str, outcome: str, digest: bool, now: datetime) -> None:
    writer.execute(_RECORD_OUTCOME, {"status": status, "outcome": outcome, "digest": digest, "now": now, "ids": ids})
