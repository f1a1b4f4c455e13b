"""What is told of smoke while it lasts: an early warning once, that it goes on once a window, and when it is over.

Each is a fact of its moment. What is told follows from the condition of a region and from what was told of it before.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.verdicts.conditions import Condition
from aqi_dagster.pipeline.verdicts.outbox.moments import MOMENT, LastMoment, Moment, MomentKind, MomentVerdict
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, window_start

CLEAR_AFTER = timedelta(hours=6)
"""How long the air has been clear before anybody is told so: smoke that comes back sooner is the same."""

ONGOING_AFTER = timedelta(hours=6)
"""How far into a window it is said that smoke goes on: half a window after the verdict on the window before."""

_CONFIRMED = "SELECT region FROM regional_windows WHERE verdict = 'smoke' AND window_start >= ? AND region = ?"


def moments_of(
    conditions: Iterable[Condition], last: Mapping[str, LastMoment], muted: Collection[str] = ()
) -> list[Moment]:
    """What is to be told of ``conditions``, ``last`` being what was told before, by region.

    Of smoke in ``muted`` regions nothing is; if it outlasts the mute, it is warned of then.
    """
    found = (_moment_of(one, last.get(one.region)) for one in conditions)
    return [
        moment for moment in found if moment is not None and not (moment.verdict == "smoke" and moment.region in muted)
    ]


def unconfirmed(
    connection: DuckDBPyConnection,
    conditions: Iterable[Condition],
    last: Mapping[str, LastMoment],
    windows: WindowRange,
    now: datetime,
) -> list[Moment]:
    """Withdrawals of early warnings, where ``windows`` hold the one that ended last before ``now``.

    A warning of that window is withdrawn if the window has no verdict of smoke, and the air is not smoke now either.
    """
    newest = window_start(now) - WINDOW_LENGTH
    if newest not in windows:
        return []
    return [
        _tell(replace(one, as_of=now), "all_clear", "withdrawn", "Its window has ended without a verdict of smoke.")
        for one in conditions
        if (before := last.get(one.region)) is not None
        and before.kind == "early"
        and before.told_in == newest
        and (one.state != "smoke" or now - one.as_of > MOMENT)
        and not connection.execute(_CONFIRMED, [newest, one.region]).fetchall()
    ]


def _moment_of(one: Condition, last: LastMoment | None) -> Moment | None:
    is_open = last is not None and last.is_open
    if one.state == "smoke" and not is_open:
        return _tell(one, "early", "smoke", one.reason)
    if one.state == "smoke" and last is not None:
        window = window_start(one.as_of)
        is_due = one.as_of - window >= ONGOING_AFTER and last.told_in < window
        return _tell(one, "ongoing", "smoke", one.reason) if is_due else None
    if one.state == "clear" and is_open and one.as_of - one.since >= CLEAR_AFTER:
        return _tell(one, "all_clear", "clear", one.reason)
    return None


def _tell(one: Condition, kind: MomentKind, verdict: MomentVerdict, reason: str) -> Moment:
    return Moment(
        kind=kind,
        verdict=verdict,
        region=one.region,
        as_of=one.as_of,
        level=one.level,
        trend=one.trend,
        since=one.since,
        healthy=one.healthy,
        broken=one.broken,
        aqi_of_nowcast=one.aqi_of_nowcast,
        reason=reason,
    )
