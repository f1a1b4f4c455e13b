"""The alerts that wait to be sent, with all that their messages say."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.verdicts.outbox.channels import SLACK
from aqi_dagster.windows import WINDOW_LENGTH

_DUE = """
WITH waiting AS (
    SELECT alert_id, previous_verdict, status
    FROM channel_alerts
    WHERE channel = $channel AND (status = 'pending' OR (status = 'not_sent' AND as_of IS NULL))
), earlier AS (
    SELECT
        kind,
        coalesce(subject, region) AS told_of,
        window_start,
        max(sent_at) AS told_at,
        arg_max(told, sent_at) AS told_before
    FROM channel_alerts
    WHERE channel = $channel
    GROUP BY kind, told_of, window_start
), early AS (
    SELECT region, window_start, min(as_of) AS warned_at
    FROM channel_alerts
    WHERE channel = $channel AND kind = 'early' AND status IN ('sent', 'unknown')
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
    waiting.previous_verdict,
    told_at,
    told_before,
    waiting.status,
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
        FROM channel_alerts AS before
        WHERE
            slack_alerts.kind = 'sensor'
            AND before.channel = $channel
            AND before.kind = 'sensor'
            AND before.subject = slack_alerts.subject
            AND before.verdict = 'broken'
            AND before.status = 'sent'
            AND before.window_start < slack_alerts.window_start
    ) AS broke_before
FROM slack_alerts
JOIN waiting USING (alert_id)
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


@dataclass(frozen=True)
class Alert:
    """A row of the outbox with the regional window it speaks of; the latter's columns are None if it is withdrawn.

    One of ``kind`` sensor speaks of the sensor ``subject``, and one of kind weekly of all in ``implausible``.

    ``told_at`` is when the channel took ``previous_verdict``, naive UTC, and ``told_before`` the reason it was given;
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


def due_alerts(connection: DuckDBPyConnection, channel: str = SLACK) -> list[Alert]:
    """The alerts that wait to be sent to a channel, or for a webhook, in order of time."""
    rows = connection.execute(_DUE, {"channel": channel}).fetchall()
    if not rows:
        return []
    names = dict(connection.execute("SELECT sensor, name FROM sensors WHERE name IS NOT NULL").fetchall())
    since = dict(connection.execute(_BROKEN_SINCE).fetchall())
    return [replace(Alert(*row), names=names, broken_since=since) for row in rows]
