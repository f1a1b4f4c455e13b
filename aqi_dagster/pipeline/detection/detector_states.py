"""The states in which windows leave the detectors: one row per sensor and window.

This module alone writes the table ``detector_states``.
"""

from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

import pyarrow as pa
from duckdb import DuckDBPyConnection

from aqi_dagster.errors import DetectorStateError
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.store.sql import Writer, registered
from aqi_dagster.windows import WindowRange, window_key

FORMAT_VERSION = 2
"""How a state is stored: 2 is a zlib-compressed pickle, protocol 5, with :func:`blank_pickle` as the dictionary."""

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


def require_same_parameters(stored: StoredState, parameters: DetectorParameters) -> None:
    """Raise :class:`DetectorStateError` if ``stored`` is of another format, River release or parameters."""
    expected = (FORMAT_VERSION, RIVER_VERSION, parameters.hash())
    if (stored.format_version, stored.river_version, stored.parameters_hash) != expected:
        raise DetectorStateError(
            f"{state_title(stored)} was stored in format {stored.format_version} by river {stored.river_version} with "
            f"parameters {stored.parameters_hash[:12]}; now it is format {expected[0]}, river {expected[1]}, "
            f"parameters {expected[2][:12]}. Either go back to that release and those AQI_DETECTOR_* settings, or "
            "compute all scores anew: materialize all windows from the first scored one to the newest in one run."
        )


def state_title(stored: StoredState) -> str:
    return f"The detector state of sensor {stored.sensor!r} after window {window_key(stored.window_start)}"


_NEWEST = """
SELECT sensor, window_start, state, format_version, river_version, parameters_hash
FROM detector_states
WHERE rowid IN (
    SELECT arg_max(rowid, window_start)
    FROM detector_states
    WHERE window_start < $before AND window_start >= $first_window
    GROUP BY sensor
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


def newest_states(connection: DuckDBPyConnection, before: datetime, first_window: datetime) -> dict[str, StoredState]:
    """The newest state of each sensor, by sensor, that a window earlier than ``before`` left.

    States before ``first_window`` belong to another beginning and are left alone.
    """
    # By row id: the states of all history are large, and only one a sensor is needed.
    rows = connection.execute(_NEWEST, {"before": before, "first_window": first_window}).fetchall()
    return {row[0]: StoredState(*row) for row in rows}


def write_states(writer: Writer, windows: WindowRange, states: pa.Table, parameters: DetectorParameters) -> None:
    """Overwrite the states that ``windows`` leave: ``states`` has ``sensor``, ``window_start`` and ``state``."""
    writer.execute("DELETE FROM detector_states WHERE window_start BETWEEN $first AND $last", windows.bounds)
    with registered(writer, "states", states):
        writer.execute(
            "INSERT INTO detector_states BY NAME SELECT *, ? AS format_version, ? AS river_version, "
            "? AS parameters_hash FROM states",
            [FORMAT_VERSION, RIVER_VERSION, parameters.hash()],
        )


def drop_states_before(writer: Writer, first_window: datetime) -> None:
    """Drop the states of windows before ``first_window``, on which nothing builds."""
    writer.execute("DELETE FROM detector_states WHERE window_start < ?", [first_window])


def drop_all_but_weekly_states(writer: Writer, begin: datetime, end: datetime) -> int:
    """Drop the states of the weeks from ``begin`` to ``end``, excluded, but each sensor's last one of each week.

    Returns how many were dropped.
    """
    ((dropped,),) = writer.execute(_DROP_ALL_BUT_WEEKLY, {"begin": begin, "end": end}).fetchall()
    return int(dropped)
