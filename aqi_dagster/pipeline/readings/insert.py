"""Into the store: the readings and rejected messages of a chunk.

This module alone writes the tables ``readings``, ``rejected_messages`` and ``sensors``. :func:`ingest` writes into an
open transaction, so that the rows of a chunk and its offsets stand or fall together.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.decoding.decode import Decoded
from aqi_dagster.pipeline.store.sql import Writer, registered, run_script
from aqi_dagster.pipeline.store.window_ledger import add_readings

_Mask = np.ndarray[Any, np.dtype[np.bool_]]

_BITS_OF_SECONDS = 39
"""Enough for the seconds of ten thousand years."""

# Only a reading that is not newer than the sensor's last one can have been there before: mostly none is.
_OLDER = """
SELECT decoded.row_number, sensor, created_at, window_start
FROM decoded JOIN sensors USING (sensor)
WHERE created_at <= last_reading
"""

# With the windows as numbers, known before the query is planned, it does not read all that was ever stored.
_STORED = """
SELECT row_number
FROM older SEMI JOIN (SELECT sensor, created_at FROM readings WHERE window_start BETWEEN ? AND ?) AS stored
    USING (sensor, created_at)
"""


@dataclass(frozen=True)
class Ingested:
    """What became of a chunk: messages accepted (repeated readings among them) and rejected."""

    accepted: int
    repeated: int
    rejected: int


def ingest(writer: Writer, decoded: Decoded, generation: int, now: datetime) -> Ingested:
    """Append what was ``decoded`` to ``readings`` and ``rejected_messages``.

    ``generation`` is that of the topic; ``now`` is the time of the pull, naive UTC.
    """
    readings = decoded.readings
    repeated = _repeats_within(readings)
    repeated[_rows_already_stored(writer, readings)] = True
    readings = readings.append_column("repeated", pa.array(repeated))
    with registered(writer, "decoded", readings), registered(writer, "rejected", decoded.rejected):
        run_script(writer, __package__, "insert.sql", generation=generation, now=now)
    counts = readings["window_start"].filter(pa.array(~repeated)).value_counts()
    add_readings(writer, pa.table(counts.flatten(), ["window_start", "readings"]))
    return Ingested(len(readings), int(np.count_nonzero(repeated)), decoded.rejected.num_rows)


def drop_rejected(writer: Writer, places: pa.Table, generation: int) -> None:
    """Drop the rejected messages at ``places`` (``kafka_partition``, ``kafka_offset``) of a generation of the topic."""
    with registered(writer, "places", places):
        writer.execute(
            """
            DELETE FROM rejected_messages
            WHERE topic_generation = ? AND (kafka_partition, kafka_offset) IN (
                SELECT (kafka_partition, kafka_offset) FROM places
            )
            """,
            [generation],
        )


def _repeats_within(readings: pa.Table) -> _Mask:
    """Which of ``readings`` come after one of the same sensor and time, in order of Kafka partition and offset."""
    repeated = np.zeros(len(readings), np.bool_)
    sensors = readings["sensor"].combine_chunks()
    # Keys that are written differently may name the same sensor.
    numbers = sensors.dictionary.dictionary_encode().indices.take(sensors.indices).to_numpy().astype(np.int64)
    seconds = readings["created_at"].to_numpy().view(np.int64) // 1_000_000
    if not len(readings):
        return repeated
    moments = (numbers << _BITS_OF_SECONDS) + (seconds - seconds.min())
    in_order = np.sort(moments)
    more_than_once = in_order[1:][in_order[1:] == in_order[:-1]]
    if len(more_than_once):
        rows = np.flatnonzero(np.isin(moments, more_than_once))
        partitions, offsets = (readings[name].to_numpy()[rows] for name in ("kafka_partition", "kafka_offset"))
        rows = rows[np.lexsort((offsets, partitions, moments[rows]))]
        repeated[rows[1:]] = moments[rows[1:]] == moments[rows[:-1]]
    return repeated


def _rows_already_stored(connection: DuckDBPyConnection, readings: pa.Table) -> list[int]:
    """The rows of ``readings`` whose sensor and time are stored already."""
    columns = readings.select(["sensor", "created_at", "window_start"])
    placed = columns.append_column("row_number", pa.array(np.arange(len(readings))))
    with registered(connection, "decoded", placed):
        older = connection.sql(_OLDER).to_arrow_table()
    if not len(older):
        return []
    windows = pc.min_max(older["window_start"]).as_py()
    with registered(connection, "older", older):
        stored = connection.sql(_STORED, params=[windows["min"], windows["max"]]).fetchall()
    return [number for (number,) in stored]
