"""Scoring windows: readings in, scored readings and the detector states that each window leaves out.

Detector states form a chain: a window starts from each sensor's newest state of an earlier window. A run over
several windows carries the detectors in memory from one to the next and commits each window as a whole.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from duckdb import DuckDBPyConnection
from river.anomaly import HalfSpaceTrees

from aqi_dagster.errors import UnscoredWindowsError
from aqi_dagster.pipeline.batch_scoring import score_and_learn_all
from aqi_dagster.pipeline.database import registered, transaction
from aqi_dagster.pipeline.detectors import (
    DetectorParameters,
    StoredState,
    load_state,
    new_detector,
    require_same_parameters,
    store_state,
)
from aqi_dagster.windows import WINDOW_LENGTH, window_key, windows_between

_STATE_SCHEMA = pa.schema(
    [
        ("sensor", pa.string()),
        ("window_start", pa.timestamp("us")),
        ("state", pa.binary()),
        ("format_version", pa.int32()),
        ("river_version", pa.string()),
        ("parameters_hash", pa.string()),
    ]
)

READINGS_AT_ONCE = 500_000
"""Readings that are held in memory at a time: about 30 MB."""

_STATE_COLUMNS = ", ".join(field.name for field in fields(StoredState))


@dataclass(frozen=True)
class ScoredWindow:
    """What scoring one window came to; ``newly_scored`` readings had not been in its last scoring."""

    start: datetime
    readings: int
    newly_scored: int
    sensors: int


def score_windows(
    connection: DuckDBPyConnection,
    windows: Sequence[datetime],
    first_window: datetime,
    parameters: DetectorParameters,
) -> Iterator[ScoredWindow]:
    """Score ``windows`` (starts, consecutive), each in a transaction of its own.

    ``first_window`` is where scoring may begin at all; readings before it are never scored. Raises
    :class:`UnscoredWindowsError` if a window between the first scored one and these holds readings that were never
    scored, and :class:`DetectorStateError` if a state cannot be continued.
    """
    if list(windows) != list(windows_between(windows[0], windows[-1])):
        raise ValueError("windows must be consecutive: the detectors of each build on those of the one before")
    _require_no_gap(connection, windows[0], first_window)
    detectors = _Detectors(connection, windows[0], first_window, parameters)
    progress = _Progress(connection, windows[0], first_window, parameters.hash())
    for group in progress.groups(windows):
        series = _readings(connection, group[0], group[-1])
        starts = series["window_start"].to_numpy()
        bounds = np.searchsorted(starts, np.array([*group, group[-1] + WINDOW_LENGTH], starts.dtype))
        for start, begin, end in zip(group, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            yield _score_window(connection, start, series.slice(begin, end - begin), detectors, progress)


class _Detectors:
    """The detector of each sensor, taken up from its newest state before ``first`` when it is first asked for.

    States before ``first_window`` belong to another beginning and are left alone.
    """

    def __init__(
        self, connection: DuckDBPyConnection, first: datetime, first_window: datetime, parameters: DetectorParameters
    ) -> None:
        self.parameters = parameters
        self._live: dict[str, HalfSpaceTrees] = {}
        # By row id: the states of all history are large, and only one a sensor is needed.
        rows = connection.execute(
            f"SELECT {_STATE_COLUMNS} FROM detector_states WHERE rowid IN "  # noqa: S608 (column names of a dataclass)
            "(SELECT arg_max(rowid, window_start) FROM detector_states "
            "WHERE window_start < ? AND window_start >= ? GROUP BY sensor)",
            [first, first_window],
        ).fetchall()
        self._stored = {row[0]: StoredState(*row) for row in rows}
        for stored in self._stored.values():
            require_same_parameters(stored, parameters)

    def of(self, sensor: str) -> HalfSpaceTrees:
        if sensor not in self._live:
            stored = self._stored.get(sensor)
            self._live[sensor] = load_state(stored, self.parameters) if stored else new_detector(self.parameters)
        return self._live[sensor]


class _WindowRow(NamedTuple):
    """A row of ``windows`` without its start."""

    readings: int = 0
    scored: int | None = None
    revision: int = 0
    parameters_hash: str | None = None


class _Progress:
    """The table ``windows`` in memory, for as long as this process alone may write it."""

    def __init__(
        self, connection: DuckDBPyConnection, first: datetime, first_window: datetime, parameters_hash: str
    ) -> None:
        rows = connection.execute(
            "SELECT window_start, readings, scored, coalesce(revision, 0), parameters_hash FROM windows"
        ).fetchall()
        self._rows = {start: _WindowRow(*row) for start, *row in rows}
        self._newest = max((row.revision for row in self._rows.values()), default=0)
        self._before = max(
            (row.revision for start, row in self._rows.items() if first_window <= start < first), default=0
        )
        self._parameters_hash = parameters_hash

    def groups(self, windows: Sequence[datetime]) -> Iterator[list[datetime]]:
        """``windows`` in groups that hold at most :data:`READINGS_AT_ONCE` readings, or one window each."""
        group: list[datetime] = []
        held = 0
        for start in windows:
            readings = self._rows.get(start, _WindowRow()).readings
            if group and held + readings > READINGS_AT_ONCE:
                yield group
                group, held = [], 0
            group.append(start)
            held += readings
        if group:
            yield group

    def scored_before(self, start: datetime) -> int | None:
        """How many readings the last scoring of the window took in; None if it was never scored."""
        return self._rows.get(start, _WindowRow()).scored

    def record(self, connection: DuckDBPyConnection, start: datetime, readings: int) -> None:
        """Note that the window's ``readings`` were scored, after all windows before it.

        Its revision grows if anything differs that later windows build on: readings, parameters, or an earlier
        window that itself has grown since. On a window without readings nothing builds.
        """
        row = self._rows.get(start, _WindowRow())
        revision = row.revision
        if readings == 0:
            revision = self._before
        elif (row.scored, row.parameters_hash) != (readings, self._parameters_hash) or revision < self._before:
            self._newest += 1
            revision = self._newest
        self._before = max(self._before, revision)
        values = {
            "start": start,
            "scored": readings,
            "revision": revision,
            "parameters_hash": self._parameters_hash,
        }
        if start in self._rows:
            connection.execute(
                "UPDATE windows SET scored = $scored, revision = $revision, parameters_hash = $parameters_hash "
                "WHERE window_start = $start",
                values,
            )
        else:
            connection.execute(
                "INSERT INTO windows (window_start, readings, scored, revision, parameters_hash) "
                "VALUES ($start, $scored, $scored, $revision, $parameters_hash)",
                values,
            )


def _readings(connection: DuckDBPyConnection, first: datetime, last: datetime) -> pa.Table:
    return connection.sql(
        "SELECT sensor, created_at, window_start, pm25_cf1 FROM readings "
        "WHERE window_start BETWEEN ? AND ? AND NOT repeated ORDER BY window_start, sensor, created_at",
        params=[first, last],
    ).to_arrow_table()


def _score_window(
    connection: DuckDBPyConnection, start: datetime, series: pa.Table, detectors: _Detectors, progress: _Progress
) -> ScoredWindow:
    values = series["pm25_cf1"].to_numpy()
    runs = list(_runs(series["sensor"]))
    live = [detectors.of(sensor) for sensor, _, _ in runs]
    scores = score_and_learn_all(live, [values[begin:end] for _, begin, end in runs])
    states = [
        asdict(store_state(sensor, start, detector, detectors.parameters))
        for (sensor, _, _), detector in zip(runs, live, strict=True)
    ]
    scored_before = progress.scored_before(start)
    with transaction(connection):
        if scored_before:
            connection.execute("DELETE FROM scored_readings WHERE window_start = ?", [start])
            connection.execute("DELETE FROM detector_states WHERE window_start = ?", [start])
        if states:
            with registered(connection, "scored", series.append_column("score", pa.array(np.concatenate(scores)))):
                connection.execute("INSERT INTO scored_readings BY NAME SELECT * FROM scored")
            with registered(connection, "states", pa.Table.from_pylist(states, _STATE_SCHEMA)):
                connection.execute("INSERT INTO detector_states BY NAME SELECT * FROM states")
        progress.record(connection, start, len(values))
    return ScoredWindow(start, len(values), len(values) - (scored_before or 0), len(states))


def _runs(sorted_column: pa.ChunkedArray) -> Iterator[tuple[str, int, int]]:
    """Each distinct text of a sorted column with the half-open range of rows that hold it."""
    if not len(sorted_column):
        return
    encoded = sorted_column.combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy()
    begins = np.flatnonzero(np.diff(codes, prepend=-1))
    ends = np.append(begins[1:], len(codes))
    names = encoded.dictionary.to_pylist()
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        yield names[codes[begin]], begin, end


def _require_no_gap(connection: DuckDBPyConnection, first: datetime, first_window: datetime) -> None:
    gap = connection.execute(
        "SELECT min(window_start), max(window_start), sum(readings) FROM windows "
        "WHERE scored IS NULL AND readings > 0 AND window_start < $first AND window_start >= $first_window "
        "AND window_start > (SELECT min(window_start) FROM windows "
        "WHERE scored IS NOT NULL AND window_start >= $first_window)",
        {"first": first, "first_window": first_window},
    ).fetchone()
    if gap is not None and gap[0] is not None:
        raise UnscoredWindowsError(
            f"Window {window_key(first)} cannot be scored yet: {gap[2]} readings of the windows from "
            f"{window_key(gap[0])} to {window_key(gap[1])} were never scored, and its detectors build on them. "
            f"Materialize the range from {window_key(gap[0])} to {window_key(first)} in one run."
        )
