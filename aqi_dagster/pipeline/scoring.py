"""Scoring windows: readings in, scored readings and the detector states that each window leaves out.

Detector states form a chain: a window starts from each sensor's newest state of an earlier window. A run over
several windows carries the detectors in memory from one to the next and commits each window as a whole.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime

import numpy as np
import pyarrow as pa
from duckdb import DuckDBPyConnection
from river.anomaly import HalfSpaceTrees

from aqi_dagster.errors import UnscoredWindowsError
from aqi_dagster.pipeline.database import registered, scalar, transaction
from aqi_dagster.pipeline.detectors import (
    DetectorParameters,
    StoredState,
    load_state,
    new_detector,
    require_same_parameters,
    score_and_learn,
    store_state,
)
from aqi_dagster.windows import window_key

_SCORED_SCHEMA = pa.schema(
    [
        ("sensor", pa.string()),
        ("created_at", pa.timestamp("us")),
        ("window_start", pa.timestamp("us")),
        ("pm25_cf1", pa.float64()),
        ("score", pa.float64()),
    ]
)

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
    """Score ``windows`` (starts, ascending), each in a transaction of its own.

    ``first_window`` is where scoring may begin at all; readings before it are never scored. Raises
    :class:`UnscoredWindowsError` if a window between the first scored one and these holds readings that were never
    scored, and :class:`DetectorStateError` if a state cannot be continued.
    """
    _require_no_gap(connection, windows[0], first_window)
    detectors = _Detectors(connection, windows[0], parameters)
    for start in windows:
        yield _score_window(connection, start, detectors)


class _Detectors:
    """The detector of each sensor, taken up from its newest state before ``first`` when it is first asked for."""

    def __init__(self, connection: DuckDBPyConnection, first: datetime, parameters: DetectorParameters) -> None:
        self.parameters = parameters
        self._live: dict[str, HalfSpaceTrees] = {}
        # By row id: the states of all history are large, and only one a sensor is needed.
        rows = connection.execute(
            f"SELECT {_STATE_COLUMNS} FROM detector_states WHERE rowid IN "  # noqa: S608 (column names of a dataclass)
            "(SELECT arg_max(rowid, window_start) FROM detector_states WHERE window_start < ? GROUP BY sensor)",
            [first],
        ).fetchall()
        self._stored = {row[0]: StoredState(*row) for row in rows}
        for stored in self._stored.values():
            require_same_parameters(stored, parameters)

    def of(self, sensor: str) -> HalfSpaceTrees:
        if sensor not in self._live:
            stored = self._stored.get(sensor)
            self._live[sensor] = load_state(stored, self.parameters) if stored else new_detector(self.parameters)
        return self._live[sensor]


def _score_window(connection: DuckDBPyConnection, start: datetime, detectors: _Detectors) -> ScoredWindow:
    series = connection.sql(
        "SELECT sensor, created_at, window_start, pm25_cf1 FROM readings "
        "WHERE window_start = ? AND NOT repeated ORDER BY sensor, created_at",
        params=[start],
    ).to_arrow_table()
    values = series["pm25_cf1"].to_numpy()
    scores = np.empty(len(values))
    states = []
    for sensor, begin, end in _runs(series["sensor"]):
        detector = detectors.of(sensor)
        scores[begin:end] = score_and_learn(detector, values[begin:end].tolist())
        states.append(store_state(sensor, start, detector, detectors.parameters))
    scored = series.append_column("score", pa.array(scores))
    with transaction(connection):
        newly_scored = _record(connection, start, len(values), detectors.parameters.hash())
        connection.execute("DELETE FROM scored_readings WHERE window_start = ?", [start])
        connection.execute("DELETE FROM detector_states WHERE window_start = ?", [start])
        if states:
            with registered(connection, "scored", scored):
                connection.execute("INSERT INTO scored_readings BY NAME SELECT * FROM scored")
            with registered(connection, "states", pa.Table.from_pylist([asdict(s) for s in states], _STATE_SCHEMA)):
                connection.execute("INSERT INTO detector_states BY NAME SELECT * FROM states")
    return ScoredWindow(start, len(values), newly_scored, len(states))


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


def _record(connection: DuckDBPyConnection, start: datetime, readings: int, parameters_hash: str) -> int:
    """Note in ``windows`` that ``readings`` were scored; returns how many of them are new since the last scoring.

    The revision grows if anything differs that later windows build on: readings, parameters, or an earlier window
    that itself has grown since.
    """
    row = connection.execute(
        "SELECT scored, revision, parameters_hash FROM windows WHERE window_start = ?", [start]
    ).fetchone()
    scored, revision, old_hash = row or (None, None, None)
    before = scalar(connection, "SELECT coalesce(max(revision), 0) FROM windows WHERE window_start < ?", [start])
    if scored != readings or old_hash != parameters_hash or revision < before:
        revision = 1 + scalar(connection, "SELECT coalesce(max(revision), 0) FROM windows")
    connection.execute(
        "INSERT INTO windows (window_start, readings, scored, revision, parameters_hash) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET scored = excluded.scored, revision = excluded.revision, "
        "parameters_hash = excluded.parameters_hash",
        [start, readings, readings, revision, parameters_hash],
    )
    return readings - (scored or 0)


def _require_no_gap(connection: DuckDBPyConnection, first: datetime, first_window: datetime) -> None:
    gap = connection.execute(
        "SELECT min(window_start), max(window_start), sum(readings) FROM windows "
        "WHERE scored IS NULL AND readings > 0 AND window_start < $first AND window_start >= $first_window "
        "AND window_start > (SELECT min(window_start) FROM windows WHERE scored IS NOT NULL)",
        {"first": first, "first_window": first_window},
    ).fetchone()
    if gap is not None and gap[0] is not None:
        raise UnscoredWindowsError(
            f"Window {window_key(first)} cannot be scored yet: {gap[2]} readings of the windows from "
            f"{window_key(gap[0])} to {window_key(gap[1])} were never scored, and its detectors build on them. "
            f"Materialize the range from {window_key(gap[0])} to {window_key(first)} in one run."
        )
