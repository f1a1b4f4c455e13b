"""What is queued for channels, in the transaction of the verdict or health that it tells, and what is superseded."""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.sql import Writer, run_script, scalar
from aqi_dagster.pipeline.verdicts.mutes import Mute
from aqi_dagster.pipeline.verdicts.outbox.channels import SLACK, told_channels
from aqi_dagster.pipeline.verdicts.outbox.moments import MOMENT, LastMoment, Moment
from aqi_dagster.pipeline.verdicts.rule_changes import NETWORK, present_rules, told_from
from aqi_dagster.windows import WindowRange, window_start

_LAST_MOMENTS = """
SELECT
    region,
    arg_max(kind, alert_id) AS kind,
    arg_max(window_start, alert_id) AS told_in,
    arg_max(window_start, alert_id) FILTER (kind = 'early') AS warned_in
FROM channel_alerts
WHERE channel = $channel AND kind IN ('early', 'ongoing', 'all_clear') AND status <> 'superseded'
GROUP BY region
"""

_INSERT_MOMENT = """
INSERT INTO slack_alerts BY NAME
SELECT
    $kind AS kind,
    $verdict AS verdict,
    $region AS region,
    $window_start AS window_start,
    CASE WHEN $for_slack THEN 'pending' ELSE 'superseded' END AS status,
    CASE WHEN NOT $for_slack THEN 'it is for other channels alone' END AS outcome,
    $as_of AS created_at,
    $as_of AS as_of,
    $level AS level,
    $trend AS trend,
    $since AS since,
    $healthy AS healthy,
    $broken AS broken,
    $aqi_of_nowcast AS aqi_of_nowcast,
    $reason AS reason
RETURNING alert_id
"""

_DELIVER = "INSERT INTO deliveries (alert_id, channel, status) VALUES (?, ?, 'pending')"

_SUPERSEDE_SENSORS = """
UPDATE slack_alerts
SET status = 'superseded', outcome = 'the present rules tell nothing of sensors'
WHERE kind IN ('sensor', 'weekly') AND status IN ('pending', 'not_sent', 'refused')
"""

_SUPERSEDE_SENSOR_DELIVERIES = """
UPDATE deliveries
SET status = 'superseded', outcome = 'the present rules tell nothing of sensors'
FROM slack_alerts
WHERE
    deliveries.alert_id = slack_alerts.alert_id
    AND kind IN ('sensor', 'weekly')
    AND deliveries.status IN ('pending', 'not_sent', 'refused')
"""

_SUPERSEDE_STALE = """
UPDATE slack_alerts
SET status = 'superseded', outcome = 'its moment was over before it was sent', next_attempt_at = NULL
WHERE as_of IS NOT NULL AND kind <> 'muted' AND status = 'pending' AND created_at < $oldest
"""

_SUPERSEDE_STALE_DELIVERIES = """
UPDATE deliveries
SET status = 'superseded', outcome = 'its moment was over before it was sent', next_attempt_at = NULL
FROM slack_alerts
WHERE
    deliveries.alert_id = slack_alerts.alert_id
    AND as_of IS NOT NULL
    AND deliveries.status = 'pending'
    AND created_at < $oldest
"""


def queue_alerts(writer: Writer, windows: WindowRange, now: datetime) -> None:
    """Queue what is news about the verdicts of ``windows``, and supersede what no longer is; ``now`` is naive UTC.

    What was told of windows that a later first window leaves out is withdrawn: nobody stands by it any more.
    """
    tells_of_sensors = present_rules(writer) == NETWORK
    run_script(writer, __package__, "queue_left_out.sql", now=now, tells_of_sensors=tells_of_sensors)
    run_script(writer, __package__, "queue_alerts.sql", **windows.bounds, now=now, told_from=told_from(writer))


def queue_sensor_alerts(writer: Writer, windows: WindowRange, now: datetime) -> None:
    """Queue what is news about sensors' health in ``windows``: who broke, who is well again, who is still broken.

    What was told of a sensor and window, and what is not so by its present health, is withdrawn.
    """
    run_script(writer, __package__, "queue_sensor_alerts.sql", **windows.bounds, now=now, told_from=told_from(writer))


def queue_moments(writer: Writer, moments: Iterable[Moment]) -> None:
    """Queue what every channel is to be told of now; the caller has begun the transaction in which it was found out."""
    channels = told_channels(writer)
    for moment in moments:
        _queue_moment(writer, moment, channels)


def queue_due_moments(writer: Writer, due: Callable[[Mapping[str, LastMoment]], list[Moment]]) -> None:
    """Queue what each channel is to be told of now, which is ``due`` by what it was told last, by region.

    The caller has begun the transaction. What several channels are to be told is one alert.
    """
    due_of = {channel: due(last_moments(writer, channel)) for channel in told_channels(writer)}
    distinct: list[Moment] = []
    for moments in due_of.values():
        distinct += [moment for moment in moments if moment not in distinct]
    for moment in distinct:
        _queue_moment(writer, moment, [channel for channel, moments in due_of.items() if moment in moments])


def _queue_moment(writer: Writer, moment: Moment, channels: Collection[str]) -> None:
    values = {**vars(moment), "window_start": window_start(moment.as_of), "for_slack": SLACK in channels}
    alert_id: int = scalar(writer, _INSERT_MOMENT, values)
    for channel in channels:
        if channel != SLACK:
            writer.execute(_DELIVER, [alert_id, channel])


def queue_mute(writer: Writer, mute: Mute) -> None:
    """Queue that a region is muted, or not any more; the caller has begun the transaction that records it."""
    until = f"until {mute.until:%Y-%m-%d %H:%M} UTC" if mute.until > mute.muted_at else "no longer"
    reason = f"Muted {until}: {mute.reason}"
    told = Moment("muted", "muted", mute.region, mute.muted_at, None, None, mute.muted_at, [], [], None, reason)
    queue_moments(writer, [told])


def last_moments(connection: DuckDBPyConnection, channel: str = SLACK) -> dict[str, LastMoment]:
    """By region, what a channel was last told of now, or is to be; what was superseded was not."""
    found = [LastMoment(*row) for row in connection.execute(_LAST_MOMENTS, {"channel": channel}).fetchall()]
    return {one.region: one for one in found}


def supersede_sensor_alerts(writer: Writer) -> None:
    """Let go of what was queued about sensors and not sent yet: the rules that judge now tell nothing of them."""
    writer.execute(_SUPERSEDE_SENSORS)
    writer.execute(_SUPERSEDE_SENSOR_DELIVERIES)


def supersede_stale(writer: Writer, now: datetime) -> None:
    """Let go of what told of a moment that is over by ``now`` (naive UTC) and was not sent: nobody was told.

    That a region is muted holds for longer, and is told however late.
    """
    writer.execute(_SUPERSEDE_STALE, {"oldest": now - MOMENT})
    writer.execute(_SUPERSEDE_STALE_DELIVERIES, {"oldest": now - MOMENT})
