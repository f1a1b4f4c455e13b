"""Which rules reach the verdicts, and since when. This module alone writes the table ``rule_changes``."""

from datetime import datetime

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.sql import Writer, scalar
from aqi_dagster.windows import WINDOW_LENGTH, window_start

NETWORK = "network"
"""The rules that tell of sensors."""

_LAST_JUDGED = "SELECT max(window_start) FROM windows WHERE classified IS NOT NULL"

_NEWEST_READ = "SELECT max(window_start) FROM windows WHERE readings > 0"

_BEFORE_ALL_WINDOWS = datetime(1970, 1, 1)  # noqa: DTZ001 (naive UTC by convention)


def record_rules(writer: Writer, rules: str, now: datetime) -> None:
    """Record that verdicts are reached by ``rules`` from ``now`` on, if they were reached by others before.

    It is called before verdicts are. The newest window that has ended, which the tick at hand is about, counts as one
    of the new rules unless the others judged it: else neither would tell of it. No clock that is ahead keeps the new
    rules from telling of windows that are still to come: none counts as before that lies behind all readings.
    """
    before = present_rules(writer)
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


def present_rules(connection: DuckDBPyConnection) -> str | None:
    """The rules that reached the last verdicts; None if none were reached yet."""
    rules: str | None = scalar(connection, "SELECT arg_max(rules, rowid) FROM rule_changes")
    return rules


def told_from(connection: DuckDBPyConnection) -> datetime:
    """When the present rules came: windows that had ended by then were told of, or not, by those before."""
    changed_at: datetime | None = scalar(connection, "SELECT arg_max(changed_at, rowid) FROM rule_changes")
    return changed_at or _BEFORE_ALL_WINDOWS
