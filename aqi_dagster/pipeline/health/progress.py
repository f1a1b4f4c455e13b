"""How judging sensors' health moves the ledger of windows on.

The health of a window follows from its own readings, and from what was judged of the 14 days before, which follows from
the 7 days before these.
"""

from collections.abc import Iterator
from datetime import datetime

import pyarrow as pa
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.portions import parts_of
from aqi_dagster.pipeline.store.window_ledger import LOOK_BACK
from aqi_dagster.windows import WindowRange

_LEDGER = pa.schema(
    [
        ("window_start", pa.timestamp("us")),
        ("readings", pa.int64()),
        ("revision", pa.int64()),
        ("since", pa.timestamp("us")),
    ]
)

_ROWS = """
SELECT window_start, readings, health_readings, coalesce(health_revision, 0), health_hash, health_since
FROM windows
WHERE readings > 0 AND window_start BETWEEN $begin AND $last
"""


WINDOWS_AT_ONCE = 8
"""Windows whose hours are read and whose health is written together: few, to be small; not one, to be fast."""

READINGS_AT_ONCE = 1_000_000
"""Readings of these windows, or of a single one: a window of so many has a hundred thousand hours."""


class HealthProgress:
    """The ledger's part on health in memory, for as long as this process alone may write it."""

    def __init__(
        self,
        connection: DuckDBPyConnection,
        windows: WindowRange,
        first_window: datetime,
        regions_hash: str,
        has_history: bool,
    ) -> None:
        """``has_history``: whether what ``windows`` look back to was judged; else their history begins with them."""
        begin = max(first_window, windows.first - LOOK_BACK)
        rows = connection.execute(_ROWS, {"begin": begin, "last": windows.last}).fetchall()
        self._rows = {start: row for start, *row in rows}
        self._revisions = {start: row[2] for start, row in self._rows.items()}
        ((self._newest,),) = connection.execute("SELECT coalesce(max(health_revision), 0) FROM windows").fetchall()
        self._earliest = self._begin_of_history(windows, first_window) if has_history else windows.first
        self._hash = regions_hash
        self._added: list[tuple[datetime, int, int, datetime]] = []

    def _begin_of_history(self, windows: WindowRange, first_window: datetime) -> datetime:
        """The earliest window that the history of ``windows`` follows from, which may have been judged without one."""
        begins = (
            since
            for start, (*_, since) in self._rows.items()
            if start < windows.first and since is not None and since > max(first_window, start - LOOK_BACK)
        )
        return max(begins, default=first_window)

    def groups(self, windows: WindowRange) -> Iterator[WindowRange]:
        """``windows`` in groups of at most :data:`WINDOWS_AT_ONCE`, with at most :data:`READINGS_AT_ONCE` readings."""
        readings = {start: row[0] for start, row in self._rows.items()}
        for part in parts_of(windows, readings, READINGS_AT_ONCE):
            yield from part.parts(WINDOWS_AT_ONCE)

    def add(self, start: datetime, otherwise: bool = False) -> None:
        """Note that the health in a window was judged, after all windows before it.

        Its revision grows if anything differs that later windows build on: its readings, the regions' settings, where
        its history begins, or that its sensors were judged ``otherwise``, such as in another region.
        """
        if start not in self._rows:
            return
        readings, judged, revision, of_hash, of_since = self._rows[start]
        since = max(self._earliest, start - LOOK_BACK)
        before = max(
            (known for window, known in self._revisions.items() if start - LOOK_BACK <= window < start), default=0
        )
        if (judged, of_hash, of_since) != (readings, self._hash, since) or revision < before or otherwise:
            self._newest += 1
            revision = self._newest
        self._revisions[start] = revision
        self._added.append((start, readings, revision, since))

    def take_added(self) -> pa.Table:
        """The windows that were added since the last call, as the ledger records them."""
        columns = zip(*self._added, strict=True) if self._added else ((), (), (), ())
        self._added = []
        return pa.table(dict(zip(_LEDGER.names, columns, strict=True)), _LEDGER)
