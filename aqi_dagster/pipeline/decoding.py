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

from aqi_dagster.pipeline.layouts import Columns, Layout, Rows, Values
from aqi_dagster.pipeline.messages import VALUE_SCHEMA, RejectedMessageError, decode_key, decode_value
from aqi_dagster.pipeline.shapes import shape_of
from aqi_dagster.windows import WINDOW_LENGTH

MOST_LAYOUTS, FEW, MOST_STRANGERS = 128, 100, 4
"""Samples whose layouts are tried on a batch, until so many of them were those of but a few messages."""

MOST_SHAPES = 16
"""Samples whose shapes are tried on the rest; messages that have none of them are decoded one by one."""


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
    # Arrow looks up rows of a column in many pieces a hundred times as slowly.
    messages = messages.combine_chunks()
    key, values = (messages[name].combine_chunks() for name in ("key", "value"))
    sensors = _sensors(key)
    ordinary = pc.and_(pc.is_valid(sensors), pc.greater(pc.binary_length(values), 0)).fill_null(False)
    together = _by_layout(values, np.flatnonzero(ordinary))
    parts = [_timely(rows, readings, newest) for rows, readings in together]
    rest = _missing([rows for rows, _ in parts], messages.num_rows)
    readings, reasons = _one_by_one(messages.take(rest), newest)
    accepted = np.array([reason is None for reason in reasons], np.bool_)
    parts.append((rest[accepted], readings))
    rejected = messages.take(rest[~accepted]).append_column("reason", pa.array(filter(None, reasons), pa.string()))
    rows = np.concatenate([rows for rows, _ in parts])
    found = pa.concat_tables([readings for _, readings in parts])
    places = messages.select(["kafka_partition", "kafka_offset"])
    if not np.array_equal(rows, np.arange(messages.num_rows)):
        sensors, places = sensors.take(rows), places.take(rows)
    columns = {
        "sensor": sensors,
        "window_start": pc.floor_temporal(found["created_at"], WINDOW_LENGTH // timedelta(hours=1), "hour"),
        **{name: places[name] for name in places.column_names},
        **{name: found[name] for name in found.column_names},
    }
    return Decoded(pa.table(columns), rejected)


def _by_layout(values: pa.Array, rest: Rows) -> Iterator[tuple[Rows, pa.Table]]:
    """Of the rows ``rest`` of ``values``, none null or empty, those that have a layout or a shape of a sample, and what
    they hold.
    """
    texts, columns = Values(values), Columns(len(values))
    everything = rest
    strangers = 0
    for attempt in range(MOST_LAYOUTS):
        if not len(rest) or strangers > MOST_STRANGERS:
            break
        layout = Layout.of(_sample(values, rest, attempt / MOST_LAYOUTS))
        fits = np.zeros(len(rest), np.bool_) if layout is None else layout.decode(texts, rest, columns)
        strangers += np.count_nonzero(fits) < FEW
        rest = rest[~fits]
    found = np.setdiff1d(everything, rest, assume_unique=True)
    if len(found):
        readings = columns.table()
        yield found, readings if len(found) == len(values) else readings.take(found)
    yield from _by_shape(values, rest)


def _by_shape(values: pa.Array, rest: Rows) -> Iterator[tuple[Rows, pa.Table]]:
    """The same by shapes alone."""
    for attempt in range(MOST_SHAPES):
        if not len(rest):
            return
        shape = shape_of(_sample(values, rest, attempt / MOST_SHAPES))
        if shape is None:
            continue
        fits, readings = shape.decode(values if len(rest) == len(values) else values.take(rest))
        yield rest[fits], readings
        rest = rest[~fits]


def _sample(values: pa.Array, rows: Rows, place: float) -> bytes:
    """The message at a ``place`` in ``rows``, from 0 to 1: odd ones often come in a row."""
    sample: bytes = values[int(rows[int(len(rows) * place)])].as_py()
    return sample


def _timely(rows: Rows, readings: pa.Table, newest: datetime) -> tuple[Rows, pa.Table]:
    """Those that are not later than ``newest``."""
    timely = pc.less_equal(readings["created_at"], pa.scalar(newest, pa.timestamp("us"))).to_numpy()
    return (rows, readings) if timely.all() else (rows[timely], readings.filter(timely))


def _missing(found: list[Rows], count: int) -> Rows:
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
