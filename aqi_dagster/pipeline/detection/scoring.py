"""Scoring windows: readings in, scored readings and the detector states that each window leaves out.

Detector states form a chain: a window starts from each sensor's newest state of an earlier window. A run over
several windows carries the detectors in memory from one to the next. It commits whole windows, in order; small ones
together, because a commit costs as much as scoring thousands of readings.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from duckdb import DuckDBPyConnection

from aqi_dagster.errors import UnscoredWindowsError
from aqi_dagster.pipeline.detection.detector_banks import detector_bank
from aqi_dagster.pipeline.detection.detectors import (
    FORMAT_VERSION,
    RIVER_VERSION,
    DetectorParameters,
    StoredState,
    require_same_parameters,
)
from aqi_dagster.pipeline.detection.retention import require_startable
from aqi_dagster.pipeline.read_ahead import read_ahead
from aqi_dagster.pipeline.store.sql import registered, transaction
from aqi_dagster.windows import WINDOW_LENGTH, window_key, windows_between

_STATES = pa.schema([("sensor", pa.string()), ("window_start", pa.timestamp("us")), ("state", pa.binary())])

READINGS_AT_ONCE = 200_000
"""Readings of the windows that are committed together, about 20 MB; three times as many are held in memory."""

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
    """Score ``windows`` (starts, consecutive), each as a whole, and give each once it is committed.

    ``first_window`` is where scoring may begin at all; readings before it are never scored. Raises
    :class:`UnscoredWindowsError` if a window between the first scored one and these holds readings that were never
    scored, :class:`ThinnedStatesError` if the states to begin with are not kept any more, and
    :class:`DetectorStateError` if a state cannot be continued.
    """
    if list(windows) != list(windows_between(windows[0], windows[-1])):
        raise ValueError("windows must be consecutive: the detectors of each build on those of the one before")
    _require_no_gap(connection, windows[0], first_window)
    require_startable(connection, windows[0], first_window)
    detectors = _Detectors(connection, windows[0], first_window, parameters)
    progress = _Progress(connection, windows[0], first_window, parameters.hash())
    groups = _scored_groups(connection.cursor(), progress.groups(windows), detectors, progress)
    # One thread reads and scores, this one writes.
    with closing(read_ahead(groups, ahead=1)) as scored:
        for group in scored:
            with transaction(connection):
                _write(connection, group, parameters)
            yield from group.windows


class _Detectors:
    """The detector of each sensor, taken up from its newest state before ``first`` when it is first asked for.

    States before ``first_window`` belong to another beginning and are left alone.
    """

    def __init__(
        self, connection: DuckDBPyConnection, first: datetime, first_window: datetime, parameters: DetectorParameters
    ) -> None:
        self.bank = detector_bank(parameters)
        self._numbers: dict[str, int] = {}
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

    def of(self, sensors: Sequence[str]) -> list[int]:
        """The numbers of the sensors' detectors in the bank."""
        new = [sensor for sensor in sensors if sensor not in self._numbers]
        self.bank.add([self._stored.get(sensor) for sensor in new])
        self._numbers.update(zip(new, range(len(self._numbers), len(self._numbers) + len(new)), strict=True))
        return [self._numbers[sensor] for sensor in sensors]


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
        self._scored: list[tuple[datetime, int, int]] = []

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

    def take_note(self, start: datetime, readings: int, sensors: int) -> ScoredWindow:
        """What scoring the window came to: its ``readings`` were scored, after all windows before it.

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
        self._scored.append((start, readings, revision))
        return ScoredWindow(start, readings, readings - (row.scored or 0), sensors)

    def noted(self) -> pa.Table:
        """What was noted since the last call: the start of each window, its readings and its revision."""
        starts, readings, revisions = zip(*self._scored, strict=True)
        self._scored = []
        return pa.table({"start": pa.array(starts, pa.timestamp("us")), "readings": readings, "revision": revisions})


@dataclass(frozen=True)
class _ScoredGroup:
    """Consecutive windows that are committed together, with the rows that they leave in three tables."""

    windows: list[ScoredWindow]
    readings: pa.Table
    states: pa.Table
    progress: pa.Table


def _scored_groups(
    connection: DuckDBPyConnection, groups: Iterator[list[datetime]], detectors: _Detectors, progress: _Progress
) -> Generator[_ScoredGroup]:
    with closing(connection):
        for group in groups:
            yield _score_group(connection, group, detectors, progress)


def _score_group(
    connection: DuckDBPyConnection, group: list[datetime], detectors: _Detectors, progress: _Progress
) -> _ScoredGroup:
    names, series = _readings(connection, group[0], group[-1])
    starts = series["window_start"]
    bounds = np.searchsorted(starts, np.array([*group, group[-1] + WINDOW_LENGTH], starts.dtype)).tolist()
    scores, states, windows = [], [], []
    for start, (begin, end) in zip(group, pairwise(bounds), strict=True):
        present, lengths = _runs(series["number"][begin:end])
        sensors = names.take(pa.array(present, pa.int32()))
        numbers = detectors.of(sensors.to_pylist())
        scores.append(detectors.bank.score_and_learn(numbers, lengths, series["pm25_cf1"][begin:end]))
        starts_of_states = pa.repeat(pa.scalar(start, pa.timestamp("us")), len(sensors))
        states.append(pa.table([sensors, starts_of_states, detectors.bank.states(numbers)], _STATES))
        windows.append(progress.take_note(start, end - begin, len(sensors)))
    columns = {name: series[name] for name in ("created_at", "window_start", "pm25_cf1")}
    sensors_of_readings = pa.DictionaryArray.from_arrays(series["number"], names)
    scored = pa.table({"sensor": sensors_of_readings, **columns, "score": np.concatenate(scores)})
    return _ScoredGroup(windows, scored, pa.concat_tables(states), progress.noted())


def _write(connection: DuckDBPyConnection, group: _ScoredGroup, parameters: DetectorParameters) -> None:
    """Overwrite the rows of a group's windows."""
    span = [group.windows[0].start, group.windows[-1].start]
    connection.execute("DELETE FROM scored_readings WHERE window_start BETWEEN ? AND ?", span)
    connection.execute("DELETE FROM detector_states WHERE window_start BETWEEN ? AND ?", span)
    with registered(connection, "scored", group.readings):
        connection.execute("INSERT INTO scored_readings BY NAME SELECT * FROM scored")
    with registered(connection, "states", group.states):
        connection.execute(
            "INSERT INTO detector_states BY NAME SELECT *, ? AS format_version, ? AS river_version, "
            "? AS parameters_hash FROM states",
            [FORMAT_VERSION, RIVER_VERSION, parameters.hash()],
        )
    with registered(connection, "noted", group.progress):
        connection.execute(
            "MERGE INTO windows USING noted ON window_start = start "
            "WHEN MATCHED THEN UPDATE SET "
            "scored = noted.readings, revision = noted.revision, parameters_hash = $parameters_hash "
            "WHEN NOT MATCHED THEN INSERT (window_start, readings, scored, revision, parameters_hash) "
            "VALUES (start, noted.readings, noted.readings, noted.revision, $parameters_hash)",
            {"parameters_hash": parameters.hash()},
        )


def _readings(
    connection: DuckDBPyConnection, first: datetime, last: datetime
) -> tuple[pa.StringArray, dict[str, np.ndarray[Any, Any]]]:
    """The sensors in the windows from ``first`` to ``last``, in order, and their readings by window, sensor and time.

    A reading has the ``number`` of its sensor. They are put in order here, as DuckDB takes ten times as long.
    """
    span = {"first": first, "last": last}
    names = connection.sql(
        "SELECT DISTINCT sensor FROM readings WHERE window_start BETWEEN $first AND $last ORDER BY sensor", params=span
    ).to_arrow_table()["sensor"]
    numbered = pa.table({"sensor": names, "number": pa.array(range(len(names)), pa.int32())})
    with registered(connection, "numbered", numbered):
        columns = connection.sql(
            "SELECT number, created_at, window_start, pm25_cf1 FROM readings JOIN numbered USING (sensor) "
            "WHERE window_start BETWEEN $first AND $last AND NOT repeated",
            params=span,
        ).to_arrow_table()
    series = {name: columns[name].to_numpy() for name in columns.column_names}
    order = np.lexsort((series["created_at"], series["number"], series["window_start"]))
    return names.combine_chunks(), {name: column[order] for name, column in series.items()}


def _runs(numbers: np.ndarray[Any, np.dtype[np.int32]]) -> tuple[list[int], list[int]]:
    """Each distinct one of sorted ``numbers``, and how often it comes."""
    distinct, counts = np.unique(numbers, return_counts=True)
    return distinct.tolist(), counts.tolist()


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
