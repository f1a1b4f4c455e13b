"""A store that was put back to a backup: the published copy is of the store that it replaced, or there is none."""

from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from duckdb import DuckDBPyConnection

from aqi_dagster.errors import StoreError
from aqi_dagster.pipeline.store.connections import Store

_PROGRESS = """
SELECT
    (SELECT max(pulled_at) FROM pulled_offsets),
    (SELECT count(*) FROM pulled_offsets),
    (SELECT count(*) FROM readings) + (SELECT count(*) FROM rejected_messages),
    (SELECT count(*) FROM offset_gaps),
    (SELECT count(*) FROM slack_alerts)
"""


class _Progress(NamedTuple):
    """How far a store came, by rows that no run ever removes."""

    pulled_at: datetime | None
    pulls: int
    messages: int
    gaps: int
    alerts: int

    def is_behind(self, other: "_Progress") -> bool:
        """Whether rows are missing that ``other`` has. The time does not count: a clock may have been set back."""
        return any(mine < theirs for mine, theirs in zip(self[1:], other[1:], strict=True))


def unpublished_store(store: Store) -> str | None:
    """A sentence on a store of which no copy is published, mostly because it was restored; None if one is.

    None, too, while a writer is at work, if ``store`` has no patience, and where this user may not read the store.
    """
    if not store.is_readable():
        return None
    # Busy, of an older release, or damaged: whoever opens the store or the copy says so.
    with suppress(StoreError), store.inspect() as connection:
        here = _progress(connection)
        until = f"{here.pulled_at:%Y-%m-%d %H:%M} UTC" if here.pulled_at else "none yet"
        if not store.published.exists():
            return (
                f"No copy of the store {store.private} is published (newest pull: {until}): it was restored from a "
                "backup, or its first run did not end. The next run publishes it."
            )
        with store.reader() as copy:
            there = _progress(copy)
        if here.is_behind(there):
            return (
                f"The store {store.private} was restored from a backup (newest pull: {until}), and the published copy "
                "is still that of the store before. The next run replaces it."
            )
    return None


def _progress(connection: DuckDBPyConnection) -> _Progress:
    (row,) = connection.execute(_PROGRESS).fetchall()
    return _Progress(*row)
