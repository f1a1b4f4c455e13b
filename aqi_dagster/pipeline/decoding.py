"""From raw messages to columns: each message of a batch becomes one reading or one rejected message.

Free of the database. Messages of the same shape are decoded together (:mod:`shapes`), all others one by one, as
:mod:`messages` defines it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aqi_dagster.pipeline.messages import VALUE_SCHEMA, RejectedMessageError, decode_key, decode_value
from aqi_dagster.pipeline.shapes import shape_of
from aqi_dagster.windows import WINDOW_LENGTH

MOST_SHAPES = 16
"""Samples whose shapes are tried on a batch; messages that have none of them are decoded one by one."""

_Rows = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Decoded:
    """What became of a batch.

    ``readings`` has the columns of the table of that name that a message fills. ``rejected`` has the messages that are
    no readings as they came, and the ``reason``.
    """

    readings: pa.Table
    rejected: pa.Table


def decode(messages: pa.Table, now: datetime, future_allowance: timedelta) -> Decoded:
    """Decode ``messages`` (:data:`batches.MESSAGES_SCHEMA`), and leave none of them out.

    ``now`` is naive UTC; a ``created_at`` beyond ``now + future_allowance`` is rejected.
    """
    newest = now + future_allowance
    sensors = _sensors(messages["key"].combine_chunks())
    parts = [*_by_shape(messages["value"].combine_chunks(), sensors, newest)]
    rest = _missing([rows for rows, _ in parts], messages.num_rows)
    readings, reasons = _one_by_one(messages.take(rest), newest)
    accepted = np.array([reason is None for reason in reasons], np.bool_)
    parts.append((rest[accepted], readings))
    rejected = messages.take(rest[~accepted]).append_column("reason", pa.array(filter(None, reasons), pa.string()))
    rows = np.concatenate([rows for rows, _ in parts])
    values = pa.concat_tables([values for _, values in parts])
    columns = {
        "sensor": sensors.take(rows),
        "window_start": pc.floor_temporal(values["created_at"], WINDOW_LENGTH // timedelta(hours=1), "hour"),
        **{name: messages[name].take(rows) for name in ("kafka_partition", "kafka_offset")},
        **{name: values[name] for name in values.column_names},
    }
    return Decoded(pa.table(columns), rejected)


def _by_shape(values: pa.Array, sensors: pa.Array, newest: datetime) -> Iterator[tuple[_Rows, pa.Table]]:
    """The rows of ``values`` that have the shape of a sample, and what they hold, one sample after the other.

    Left out is what has no shape of a sample, no sensor, or a ``created_at`` after ``newest``.
    """
    ordinary = pc.and_(pc.is_valid(sensors), pc.greater(pc.binary_length(values), 0)).fill_null(False)
    rest = np.flatnonzero(ordinary)
    for attempt in range(MOST_SHAPES):
        if not len(rest):
            return
        # From all over the rest, because odd messages often come in a row.
        shape = shape_of(values[rest[len(rest) * attempt // MOST_SHAPES]].as_py())
        if shape is None:
            continue
        fits, decoded = shape.decode(values if len(rest) == len(values) else values.take(rest))
        timely = pc.less_equal(decoded["created_at"], pa.scalar(newest, pa.timestamp("us")))
        yield (rest[fits], decoded) if pc.all(timely).as_py() else (rest[fits][timely], decoded.filter(timely))
        rest = rest[~fits]


def _missing(found: list[_Rows], count: int) -> _Rows:
    """The rows of ``count`` that are not among ``found``."""
    missing = np.ones(count, np.bool_)
    for rows in found:
        missing[rows] = False
    return np.flatnonzero(missing)


def _one_by_one(messages: pa.Table, newest: datetime) -> tuple[pa.Table, list[str | None]]:
    """The readings among ``messages``, and why each of them is none, or None if it is one."""
    readings: list[dict[str, Any]] = []
    reasons: list[str | None] = []
    for message in messages.to_pylist():
        try:
            decode_key(message["key"])
            reading = decode_value(message["value"], newest, timedelta())
            readings.append(vars(reading) | reading.optional)
        except RejectedMessageError as reason:
            reasons.append(str(reason))
        else:
            reasons.append(None)
    return pa.Table.from_pylist(readings, VALUE_SCHEMA), reasons


def _sensors(keys: pa.Array) -> pa.DictionaryArray:
    """The sensor that each key names; null where it names none."""
    distinct = keys.dictionary_encode()
    names = [_sensor_or_none(key) for key in distinct.dictionary.to_pylist()]
    refused = pa.array([name is None for name in names], pa.bool_()).take(distinct.indices)
    indices = pc.if_else(refused, pa.scalar(None, pa.int32()), distinct.indices)
    return pa.DictionaryArray.from_arrays(indices, pa.array([name or "" for name in names], pa.string()))


@lru_cache(maxsize=1 << 16)
def _sensor_or_none(key: bytes) -> str | None:
    try:
        return decode_key(key)
    except RejectedMessageError:
        return None
