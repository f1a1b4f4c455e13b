"""What scoring adds to the ledger of windows: the number of readings that each window has scored, and its revision."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.portions import parts_of
from aqi_dagster.pipeline.store.window_ledger import LedgerRow, ledger_rows
from aqi_dagster.windows import WindowRange

_LEDGER = pa.schema(
    [
        ("window_start", pa.timestamp("us")),
        ("readings", pa.int64()),
        ("revision", pa.int64()),
        ("chain_start", pa.timestamp("us")),
    ]
)

READINGS_AT_ONCE = 200_000
"""Readings of the windows that are committed together, about 20 MB; three times as many are held in memory."""


@dataclass(frozen=True)
class ScoredWindow:
    """The outcome of scoring one window; ``newly_scored`` counts the readings that its last scoring did not have."""

    start: datetime
    readings: int
    newly_scored: int
    sensors: int


class ScoringProgress:
    """The ledger in memory, valid while this process alone may write the store."""

    def __init__(
        self, connection: DuckDBPyConnection, first: datetime, first_window: datetime, parameters_hash: str
    ) -> None:
        """``first`` is the first window to score, ``first_window`` the earliest one that may be scored."""
        self._rows = ledger_rows(connection)
        self._newest = max((row.revision for row in self._rows.values()), default=0)
        self._before = max(
            (row.revision for start, row in self._rows.items() if first_window <= start < first), default=0
        )
        self._parameters_hash = parameters_hash
        self.chain_start = min(
            (start for start, row in self._rows.items() if row.readings and start >= first_window), default=None
        )
        self._additions: list[tuple[datetime, int, int, datetime | None]] = []

    def groups(self, windows: WindowRange) -> Iterator[WindowRange]:
        """``windows`` in groups that hold at most :data:`READINGS_AT_ONCE` readings, or one window each."""
        return parts_of(windows, {start: row.readings for start, row in self._rows.items()}, READINGS_AT_ONCE)

    def readings(self, windows: WindowRange) -> int:
        """The number of readings in ``windows``, repeated ones left out."""
        return sum(self._row(start).readings for start in windows)

    def add(self, start: datetime, readings: int, sensors: int) -> ScoredWindow:
        """Record that all ``readings`` of a window were scored, after all windows before it.

        The window gets a new revision if anything changed that later windows build on: its readings, the parameters,
        the beginning of the chain, or the revision of an earlier window. No window builds on one without readings.
        """
        row = self._row(start)
        revision = row.revision
        before = (row.scored, row.parameters_hash, row.chain_start)
        if readings == 0:
            revision = self._before
        elif before != (readings, self._parameters_hash, self.chain_start) or revision < self._before:
            self._newest += 1
            revision = self._newest
        self._before = max(self._before, revision)
        self._additions.append((start, readings, revision, self.chain_start if readings else None))
        return ScoredWindow(start, readings, readings - (row.scored or 0), sensors)

    def take_additions(self) -> pa.Table:
        """Return the windows that were added since the last call, as rows of the ledger."""
        columns = zip(*self._additions, strict=True)
        self._additions = []
        return pa.table(dict(zip(_LEDGER.names, columns, strict=True)), _LEDGER)

    def windows_of_another_chain(self, first: datetime, first_window: datetime) -> list[datetime]:
        """Scored windows from ``first_window`` to ``first`` (excluded) whose chain of detectors began before both.

        A chain that began after ``first_window`` is the same chain: the windows before it were never scored.
        """
        return [
            start
            for start, row in sorted(self._rows.items())
            if first_window <= start < first and row.scored and row.chain_start and row.chain_start < first_window
        ]

    def _row(self, start: datetime) -> LedgerRow:
        return self._rows.get(start, LedgerRow())
