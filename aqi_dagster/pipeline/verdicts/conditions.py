"""The table ``conditions``: the air of each region now, as the last look saw it. This module alone writes it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.aqi import aqi, nowcast
from aqi_dagster.pipeline.health.corrected_hours import SMOKE_PM25
from aqi_dagster.pipeline.health.present import HOUR, Present
from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.windows import WINDOW_LENGTH

State = Literal["smoke", "clear", "unknown"]


@dataclass(frozen=True)
class Condition:
    """A region now: a row of ``conditions``, whose columns say what each field means."""

    region: str
    as_of: datetime
    level: float | None
    trend: float | None
    state: State
    since: datetime
    healthy: list[str]
    broken: list[str]
    rules: str
    nowcast: float | None
    aqi_of_nowcast: int | None
    reason: str


_COLUMNS = [field.name for field in fields(Condition)]

_INSERT = f"""
INSERT INTO conditions BY NAME
SELECT {", ".join(f"${name} AS {name}" for name in _COLUMNS)}
"""


def condition(present: Present, rules: str, before: Condition | None) -> Condition:
    """What ``present`` comes to by ``rules``, after the condition ``before`` of the same region."""
    state: State = "unknown" if present.smoke[0] is None else "smoke" if present.smoke[0] else "clear"
    known = nowcast(present.blocks)
    return Condition(
        region=present.region,
        as_of=present.as_of,
        level=present.level,
        trend=present.trend,
        state=state,
        since=_since(present, state, before),
        healthy=present.healthy,
        broken=present.broken,
        rules=rules,
        nowcast=known,
        aqi_of_nowcast=None if known is None else aqi(max(known, 0.0)),
        reason=_reason(present, rules),
    )


def silent(before: Condition, as_of: datetime) -> Condition:
    """The condition of a region of which no sensor has reported for twelve hours."""
    since = before.since if before.state == "unknown" else as_of
    reason = "No sensor of the region has reported for twelve hours."
    return Condition(before.region, as_of, None, None, "unknown", since, [], [], before.rules, None, None, reason)


def read_conditions(connection: DuckDBPyConnection) -> dict[str, Condition]:
    """The conditions by region."""
    rows = connection.execute(f"SELECT {', '.join(_COLUMNS)} FROM conditions ORDER BY region").fetchall()  # noqa: S608 (our own names)
    return {row[0]: Condition(*row) for row in rows}


def overwrite_conditions(writer: Writer, conditions: Iterable[Condition]) -> None:
    """Replace all conditions; the caller has begun a transaction."""
    writer.execute("DELETE FROM conditions")
    for one in conditions:
        row: Mapping[str, Any] = vars(one)
        writer.execute(_INSERT, row)


def _since(present: Present, state: State, before: Condition | None) -> datetime:
    if before is not None and before.state == state and present.as_of - before.as_of <= WINDOW_LENGTH:
        return before.since
    if state == "smoke" and present.began is not None:
        return present.began
    return present.as_of - (present.hours_below if state == "clear" else 0) * HOUR


def _reason(present: Present, rules: str) -> str:
    if rules == "notebook":
        match present.smoke[0]:
            case None:
                return "Nothing can be said: no sensor reported in the last three hours, or windows wait to be scored."
            case True:
                return "The anomalies of the last hours are those of smoke, or the air has not become clear since."
            case _:
                return "The last three hours hold no anomalies, or too few or too scattered ones to be smoke."
    if present.level is None:
        return "No healthy sensor reported in each of the last three hours."
    who = (
        "The only healthy sensor"
        if len(present.healthy) == 1
        else f"The middle of {len(present.healthy)} healthy sensors"
    )
    read = f"{who} read {present.level:,.0f} ug/m3 (corrected) over the last three hours"
    if present.smoke[0]:
        return f"{read}, {SMOKE_PM25:g} or more."
    if present.level >= SMOKE_PM25:
        return f"{read}, but not {SMOKE_PM25:g} in each: too little to tell smoke by one sensor."
    return f"{read}, below {SMOKE_PM25:g}."
