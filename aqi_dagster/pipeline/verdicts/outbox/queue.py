"""What is queued for Slack, in the transaction of the verdict or health that it tells, and what is superseded."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.sql import Writer, run_script
from aqi_dagster.pipeline.verdicts.mutes import Mute
from aqi_dagster.pipeline.verdicts.rule_changes import NETWORK, present_rules, told_from
from aqi_dagster.windows import WindowRange, window_start

MOMENT = timedelta(minutes=30)
"""How long "now" is: an early warning and its kind that wait for longer are not told any more."""

MomentKind = Literal["early", "ongoing", "all_clear", "muted"]

MomentVerdict = Literal["smoke", "clear", "withdrawn", "muted"]

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

_SUPERSEDE_SENSORS = """
UPDATE slack_alerts
SET status = 'superseded', outcome = 'the present rules tell nothing of sensors'
WHERE kind IN ('sensor', 'weekly') AND status IN ('pending', 'not_sent', 'refused')
"""

_SUPERSEDE_STALE = """
UPDATE slack_alerts
SET status = 'superseded', outcome = 'its moment was over before it was sent', next_attempt_at = NULL
WHERE as_of IS NOT NULL AND kind <> 'muted' AND status = 'pending' AND created_at < $oldest
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


def last_moments(connection: DuckDBPyConnection) -> dict[str, LastMoment]:
    """By region, what was last told of now, or is to be; what was superseded was not."""
    found = [LastMoment(*row) for row in connection.execute(_LAST_MOMENTS).fetchall()]
    return {one.region: one for one in found}


def supersede_sensor_alerts(writer: Writer) -> None:
    """Let go of what was queued about sensors and not sent yet: the rules that judge now tell nothing of them."""
    writer.execute(_SUPERSEDE_SENSORS)


def supersede_stale(writer: Writer, now: datetime) -> None:
    """Let go of what told of a moment that is over by ``now`` (naive UTC) and was not sent: nobody was told.

    That a region is muted holds for longer, and is told however late.
    """
    writer.execute(_SUPERSEDE_STALE, {"oldest": now - MOMENT})
