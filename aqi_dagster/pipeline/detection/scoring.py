"""Scoring windows: from their readings to scored readings and detector states.

Detector states form a chain: a window starts from each sensor's newest state of an earlier window. A run over several
windows keeps the detectors in memory between them. It commits whole windows, in order, and small ones together,
because a commit costs as much as scoring thousands of readings. A window of very many readings is scored in portions,
a group of its sensors after the other, and committed as a whole all the same. This module alone writes the table
``scored_readings``.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from duckdb import DuckDBPyConnection

from aqi_dagster.errors import ChangedFirstWindowError, UnscoredWindowsError
from aqi_dagster.pipeline.detection.detector_banks import detector_bank
from aqi_dagster.pipeline.detection.detector_states import (
    NewestStates,
    append_states,
    drop_states,
    drop_states_before,
)
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.detection.progress import ScoredWindow, ScoringProgress
from aqi_dagster.pipeline.detection.retention import require_states
from aqi_dagster.pipeline.detection.score_tables import Floats, Ints
from aqi_dagster.pipeline.read_ahead import read_ahead
from aqi_dagster.pipeline.store.outdated import unscored_readings
from aqi_dagster.pipeline.store.portions import SensorSpan, parts_of, readings_of, sensor_spans
from aqi_dagster.pipeline.store.restart import first_window_to_run
from aqi_dagster.pipeline.store.sql import Writer, append, registered, transaction
from aqi_dagster.pipeline.store.window_ledger import forget_scores_before, record_scores
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, window_key

READINGS_HELD = 1_000_000
"""Readings that are scored at once, about 100 MB; one sensor's in one window may be more."""

_Series = dict[str, np.ndarray[Any, Any]]

_STATES = pa.schema([("sensor", pa.string()), ("window_start", pa.timestamp("us")), ("state", pa.binary())])

_SENSORS = """
SELECT DISTINCT sensor
FROM readings
WHERE window_start BETWEEN $first AND $last
"""

_READINGS = """
SELECT number, created_at, window_start, pm25_cf1
FROM readings JOIN numbered USING (sensor)
WHERE window_start BETWEEN $first AND $last AND NOT repeated
"""

_OF_SPAN = "AND sensor BETWEEN $first_sensor AND $last_sensor "

_IN_ORDER = "ORDER BY sensor"


def score_windows(
    writer: Writer, windows: WindowRange, first_window: datetime, parameters: DetectorParameters
) -> Iterator[ScoredWindow]:
    """Score ``windows``, each as a whole, and yield each once it is committed.

    Readings before ``first_window`` are never scored; a range that begins with it drops the scores of earlier windows,
    which another first window left. Raises :class:`UnscoredWindowsError` if a window between ``first_window`` and these
    holds readings that were never scored, :class:`ChangedFirstWindowError` if such a window was scored from another
    first window on, :class:`ThinnedStatesError` if the states before these windows are gone, and
    :class:`DetectorStateError` if a state cannot be continued.
    """
    _require_no_gap(writer, windows.first, first_window)
    progress = ScoringProgress(writer, windows.first, first_window, parameters.hash())
    _require_one_chain(progress, windows.first, first_window)
    require_states(writer, windows.first, first_window)
    detectors = _Detectors(writer, windows.first, first_window, parameters)
    if windows.first == first_window:
        _drop_scores_before(writer, first_window)
    portions = _scored_portions(writer.cursor(), progress.groups(windows), detectors, progress)
    # A second thread reads and scores, this one writes.
    with closing(read_ahead(portions, ahead=1)) as scored_portions:
        for first_portion in scored_portions:
            with transaction(writer):
                last_portion = _overwrite(writer, chain([first_portion], scored_portions), parameters)
            yield from last_portion.windows


def score_in_memory(
    connection: DuckDBPyConnection, windows: WindowRange, first_window: datetime, parameters: DetectorParameters
) -> Iterator[pa.Table]:
    """The scores that the readings of ``windows`` would get now, with nothing written: a portion after the other.

    Columns ``sensor``, ``created_at``, ``pm25_cf1`` and ``score``. The detectors go on from their newest stored states.
    """
    detectors = _Detectors(connection, windows.first, first_window, parameters)
    readings = readings_of(connection, windows)
    for part in parts_of(windows, readings, READINGS_HELD):
        of_part = sum(readings.get(start, 0) for start in part)
        for span in sensor_spans(connection, part, of_part, READINGS_HELD):
            names, series = _readings(connection, part, span)
            scores = [
                _score_window(connection, detectors, names, series, begin, end)[2]
                for begin, end in pairwise(_bounds(part, series))
            ]
            columns = {name: series[name] for name in ("created_at", "pm25_cf1")}
            sensors = pa.DictionaryArray.from_arrays(series["number"], names)
            yield pa.table({"sensor": sensors, **columns, "score": np.concatenate(scores)})


class _Detectors:
    """The detectors of all sensors; each continues from its newest state before ``first`` when it is first needed."""

    def __init__(
        self, connection: DuckDBPyConnection, first: datetime, first_window: datetime, parameters: DetectorParameters
    ) -> None:
        self.bank = detector_bank(parameters)
        self._numbers: dict[str, int] = {}
        self._states = NewestStates(connection, first, first_window, parameters)

    def of(self, connection: DuckDBPyConnection, sensors: Sequence[str]) -> list[int]:
        """The numbers of the sensors' detectors in the bank."""
        new = [sensor for sensor in sensors if sensor not in self._numbers]
        if new:
            states = self._states.of(connection, new)
            self.bank.add([states.get(sensor) for sensor in new])
            self._numbers.update(zip(new, range(len(self._numbers), len(self._numbers) + len(new)), strict=True))
        return [self._numbers[sensor] for sensor in sensors]


@dataclass(frozen=True)
class _ScoredPortion:
    """Rows of two tables that belong to ``group``, consecutive windows that one transaction commits.

    The last portion of a group has the ``windows`` that are complete by it, and their rows in the ledger.
    """

    group: WindowRange
    readings: pa.Table
    states: pa.Table
    counts: Ints
    windows: Sequence[ScoredWindow] = ()
    ledger: pa.Table | None = None


def _scored_portions(
    connection: DuckDBPyConnection, groups: Iterator[WindowRange], detectors: _Detectors, progress: ScoringProgress
) -> Generator[_ScoredPortion]:
    with closing(connection):
        for group in groups:
            counts = np.zeros((len(group), 2), np.intp)
            *spans, last = sensor_spans(connection, group, progress.readings(group), READINGS_HELD)
            for span in spans:
                portion = _score_portion(connection, group, span, detectors)
                counts += portion.counts
                yield portion
            portion = _score_portion(connection, group, last, detectors)
            counts += portion.counts
            windows = [progress.add(start, *count) for start, count in zip(group, counts.tolist(), strict=True)]
            yield replace(portion, windows=windows, ledger=progress.take_additions())


def _score_portion(
    connection: DuckDBPyConnection, group: WindowRange, span: SensorSpan | None, detectors: _Detectors
) -> _ScoredPortion:
    names, series = _readings(connection, group, span)
    scores, states, counts = [], [], []
    for start, (begin, end) in zip(group, pairwise(_bounds(group, series)), strict=True):
        sensors, numbers, scores_of_window = _score_window(connection, detectors, names, series, begin, end)
        scores.append(scores_of_window)
        starts_of_states = pa.repeat(pa.scalar(start, pa.timestamp("us")), len(sensors))
        states.append(pa.table([sensors, starts_of_states, detectors.bank.states(numbers)], _STATES))
        counts.append([end - begin, len(sensors)])
    columns = {name: series[name] for name in ("created_at", "window_start", "pm25_cf1")}
    sensors_of_readings = pa.DictionaryArray.from_arrays(series["number"], names)
    readings = pa.table({"sensor": sensors_of_readings, **columns, "score": np.concatenate(scores)})
    return _ScoredPortion(group, readings, pa.concat_tables(states), np.array(counts))


def _bounds(windows: WindowRange, series: _Series) -> list[int]:
    """Where in ``series`` each window begins, and the last one ends."""
    starts = series["window_start"]
    bounds: list[int] = np.searchsorted(starts, np.array([*windows, windows.end], starts.dtype)).tolist()
    return bounds


def _score_window(
    connection: DuckDBPyConnection, detectors: _Detectors, names: pa.StringArray, series: _Series, begin: int, end: int
) -> tuple[pa.StringArray, list[int], Floats]:
    """Score a window's readings from ``begin`` to ``end``; returns its sensors, their numbers and the scores."""
    present, lengths = _runs(series["number"][begin:end])
    sensors = names.take(pa.array(present, pa.int32()))
    numbers = detectors.of(connection, sensors.to_pylist())
    return sensors, numbers, detectors.bank.score_and_learn(numbers, lengths, series["pm25_cf1"][begin:end])


def _overwrite(writer: Writer, portions: Iterable[_ScoredPortion], parameters: DetectorParameters) -> _ScoredPortion:
    """Overwrite the rows of a group's windows by its ``portions``, which others may follow; returns the last of them.

    The caller has begun a transaction.
    """
    for number, portion in enumerate(portions):
        if number == 0:
            writer.execute(
                "DELETE FROM scored_readings WHERE window_start BETWEEN $first AND $last", portion.group.bounds
            )
            drop_states(writer, portion.group)
        append(writer, "scored_readings", portion.readings)
        append_states(writer, portion.states, parameters)
        if portion.ledger is not None:
            record_scores(writer, portion.ledger, parameters.hash())
            return portion
    raise RuntimeError("the readings of a window ended before its last portion")


def _readings(
    connection: DuckDBPyConnection, windows: WindowRange, span: SensorSpan | None
) -> tuple[pa.StringArray, _Series]:
    """The sensors in ``windows``, in order, and their readings by window, sensor and time; all, or those of ``span``.

    A reading has the ``number`` of its sensor. NumPy sorts them, because DuckDB takes ten times as long.
    """
    condition = "" if span is None else _OF_SPAN
    parameters = windows.bounds if span is None else {**windows.bounds, **span._asdict()}
    names = connection.sql(_SENSORS + condition + _IN_ORDER, params=parameters).to_arrow_table()["sensor"]
    numbered = pa.table({"sensor": names, "number": pa.array(range(len(names)), pa.int32())})
    with registered(connection, "numbered", numbered):
        columns = connection.sql(_READINGS + condition, params=parameters).to_arrow_table()
    series = {name: columns[name].to_numpy() for name in columns.column_names}
    order = np.lexsort((series["created_at"], series["number"], series["window_start"]))
    return names.combine_chunks(), {name: column[order] for name, column in series.items()}


def _runs(numbers: np.ndarray[Any, np.dtype[np.int32]]) -> tuple[list[int], list[int]]:
    """The distinct values of sorted ``numbers``, and how often each occurs."""
    distinct, counts = np.unique(numbers, return_counts=True)
    return distinct.tolist(), counts.tolist()


def _drop_scores_before(writer: Writer, first_window: datetime) -> None:
    """Drop the scores and states of windows before ``first_window``: no window builds on them any more."""
    with transaction(writer):
        writer.execute("DELETE FROM scored_readings WHERE window_start < ?", [first_window])
        drop_states_before(writer, first_window)
        forget_scores_before(writer, first_window)


def _require_one_chain(progress: ScoringProgress, first: datetime, first_window: datetime) -> None:
    others = progress.windows_of_another_chain(first, first_window)
    if others:
        required = WindowRange(first_window, max(first, others[-1]))
        raise ChangedFirstWindowError(
            f"Window {window_key(first)} cannot be scored with what is stored: the detectors of {len(others)} windows "
            f"before it, from {window_key(others[0])} on, learned readings from before AQI_FIRST_WINDOW "
            f"({window_key(first_window)}). Set it back, or materialize the range from {required} in one run.",
            required,
        )


def _require_no_gap(connection: DuckDBPyConnection, first: datetime, first_window: datetime) -> None:
    if first <= first_window:
        return
    gap = unscored_readings(connection, WindowRange(first_window, first - WINDOW_LENGTH))
    if gap is not None:
        required = WindowRange(first_window_to_run(connection, gap.windows.first, first_window), first)
        raise UnscoredWindowsError(
            f"Window {window_key(first)} cannot be scored yet: {gap.readings} readings of the windows from "
            f"{gap.windows} were never scored, and its detectors build on them. "
            f"Materialize the range from {required} in one run.",
            required,
        )
