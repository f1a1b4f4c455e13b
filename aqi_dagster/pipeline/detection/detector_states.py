"""The stored states of the detectors: one row per sensor and window, with the state after that window.

This module alone writes the table ``detector_states``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

import pyarrow as pa
import pyarrow.compute as pc
from duckdb import DuckDBPyConnection

from aqi_dagster.errors import DetectorStateError
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.store.sql import Writer, append, registered
from aqi_dagster.windows import WindowRange, window_key

FORMAT_VERSION = 2
"""Format of a stored state: 2 is a pickle, protocol 5, compressed by zlib with :func:`blank_pickle` as dictionary."""

RIVER_VERSION = version("river")


@dataclass(frozen=True)
class StoredState:
    """A row of ``detector_states``."""

    sensor: str
    window_start: datetime
    state: bytes
    format_version: int
    river_version: str
    parameters_hash: str


def require_same_parameters(row: StoredState, parameters: DetectorParameters) -> None:
    """Raise :class:`DetectorStateError` unless ``row`` has the present format, River release and ``parameters``."""
    present = (FORMAT_VERSION, RIVER_VERSION, parameters.hash())
    if (row.format_version, row.river_version, row.parameters_hash) != present:
        raise DetectorStateError(
            f"{state_title(row)} was stored in format {row.format_version} by river {row.river_version} with "
            f"parameters {row.parameters_hash[:12]}; now it is format {present[0]}, river {present[1]}, "
            f"parameters {present[2][:12]}. Either go back to that release and those AQI_DETECTOR_* settings, or "
            "compute all scores anew: materialize all windows from the first scored one to the newest in one run."
        )


def state_title(row: StoredState) -> str:
    """The subject of every sentence about ``row``."""
    return f"The detector state of sensor {row.sensor!r} after window {window_key(row.window_start)}"


# By row id, because the states are large: DuckDB then reads one state a sensor instead of all history.
_NEWEST = """
SELECT sensor, window_start, format_version, river_version, parameters_hash
FROM detector_states
WHERE rowid IN (
    SELECT arg_max(rowid, window_start)
    FROM detector_states
    WHERE window_start < $before AND window_start >= $first_window
    GROUP BY sensor
)
"""

_PROVENANCE = ["format_version", "river_version", "parameters_hash"]

# Not by the row ids of before: these change when DuckDB merges what a transaction left.
_STATES = """
SELECT sensor, window_start, state, format_version, river_version, parameters_hash
FROM detector_states
WHERE rowid IN (
    SELECT detector_states.rowid
    FROM detector_states
    SEMI JOIN wanted USING (sensor, window_start)
    WHERE detector_states.window_start BETWEEN $first AND $last
)
"""

_DROP_ALL_BUT_WEEKLY = """
DELETE FROM detector_states
WHERE window_start >= $begin AND window_start < $end AND rowid NOT IN (
    SELECT arg_max(rowid, window_start)
    FROM detector_states
    WHERE window_start >= $begin AND window_start < $end
    GROUP BY sensor, time_bucket(INTERVAL 7 DAYS, window_start, TIMESTAMP '1970-01-05')
)
"""


class NewestStates:
    """The newest state of each sensor among those of the windows from ``first_window`` up to ``before``, excluded.

    States of earlier windows come from another AQI_FIRST_WINDOW and are not continued. In memory is only which window
    each sensor's newest state is of; the states themselves are read when they are wanted.
    """

    def __init__(
        self, connection: DuckDBPyConnection, before: datetime, first_window: datetime, parameters: DetectorParameters
    ) -> None:
        """Raise :class:`DetectorStateError` unless all have the present format, River release and ``parameters``."""
        bounds = {"before": before, "first_window": first_window}
        newest = connection.sql(_NEWEST, params=bounds).to_arrow_table()
        present = (FORMAT_VERSION, RIVER_VERSION, parameters.hash())
        for column, value in zip(_PROVENANCE, present, strict=True):
            for row in newest.filter(pc.not_equal(newest[column], value)).slice(0, 1).to_pylist():
                require_same_parameters(StoredState(state=b"", **row), parameters)
        self._newest = newest.select(["sensor", "window_start"])

    def of(self, connection: DuckDBPyConnection, sensors: Sequence[str]) -> dict[str, StoredState]:
        """The states of those of ``sensors`` that have one, by sensor."""
        is_wanted = pc.is_in(self._newest["sensor"], value_set=pa.array(sensors, pa.string()))
        wanted = self._newest.filter(is_wanted)
        if not len(wanted):
            return {}
        windows = pc.min_max(wanted["window_start"]).as_py()
        with registered(connection, "wanted", wanted):
            rows = connection.execute(_STATES, {"first": windows["min"], "last": windows["max"]}).fetchall()
        return {row[0]: StoredState(*row) for row in rows}


def drop_states(writer: Writer, windows: WindowRange) -> None:
    """Drop the states of ``windows``."""
    writer.execute("DELETE FROM detector_states WHERE window_start BETWEEN $first AND $last", windows.bounds)


def append_states(writer: Writer, states: pa.Table, parameters: DetectorParameters) -> None:
    """Append ``states``, which has the columns ``sensor``, ``window_start`` and ``state``."""
    for column, value in zip(_PROVENANCE, (FORMAT_VERSION, RIVER_VERSION, parameters.hash()), strict=True):
        states = states.append_column(column, pa.repeat(value, len(states)))
    append(writer, "detector_states", states)


def drop_states_before(writer: Writer, first_window: datetime) -> None:
    """Drop the states of windows before ``first_window``: no later window is scored from them."""
    writer.execute("DELETE FROM detector_states WHERE window_start < ?", [first_window])


def drop_all_but_weekly_states(writer: Writer, begin: datetime, end: datetime) -> int:
    """Drop the states of the weeks from ``begin`` to ``end`` (excluded), except each sensor's last one of each week.

    Returns how many were dropped.
    """
    ((dropped,),) = writer.execute(_DROP_ALL_BUT_WEEKLY, {"begin": begin, "end": end}).fetchall()
    return int(dropped)
