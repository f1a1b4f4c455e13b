"""From raw messages to columns: each message of a batch becomes one reading or one rejected message.

Free of the database. Ordinary messages are decoded together (:mod:`ordinary`), all others one by one, as
:mod:`messages` defines it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aqi_dagster.pipeline.decoding.definition import VALUE_SCHEMA, RejectedMessageError, decode_key, decode_value
from aqi_dagster.windows import WINDOW_LENGTH


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
    # Not imported above: it takes a quarter of a second, and many a pull finds nothing new.
    from aqi_dagster.pipeline.decoding.fast_path import scan

    newest = now + future_allowance
    sensors = _sensors(messages["key"].combine_chunks())
    ordinary, readings = scan(messages["value"])
    timely = pc.less_equal(readings["created_at"], pa.scalar(newest, pa.timestamp("us"))).to_numpy()
    sound = timely & sensors.is_valid().to_numpy(zero_copy_only=False)[ordinary]
    if not sound.all():
        readings = readings.filter(pa.array(sound))
        ordinary[ordinary] = sound
    if ordinary.all():
        return Decoded(_with_places(messages, sensors, readings), _rejected(messages.schema.empty_table(), []))
    # In one piece: of a column in many, Arrow looks up rows a hundred times as slowly.
    messages = messages.combine_chunks()
    rows, rest = np.flatnonzero(ordinary), np.flatnonzero(~ordinary)
    odd_ones = messages.take(rest)
    odd_readings, reasons = _one_by_one(odd_ones, newest)
    refused = np.array([reason is not None for reason in reasons])
    rows = np.append(rows, rest[~refused])
    readings = pa.concat_tables([readings, odd_readings])
    return Decoded(
        _with_places(messages.take(rows), sensors.take(rows), readings),
        _rejected(odd_ones.filter(pa.array(refused)), [*filter(None, reasons)]),
    )


def _with_places(messages: pa.Table, sensors: pa.DictionaryArray, readings: pa.Table) -> pa.Table:
    """The ``readings`` of ``messages`` with where they were measured and where they come from."""
    columns = {
        "sensor": sensors,
        "window_start": pc.floor_temporal(readings["created_at"], WINDOW_LENGTH // timedelta(hours=1), "hour"),
        **{name: messages[name] for name in ("kafka_partition", "kafka_offset")},
        **{name: readings[name] for name in readings.column_names},
    }
    return pa.table(columns)


def _rejected(messages: pa.Table, reasons: list[str]) -> pa.Table:
    return messages.append_column("reason", pa.array(reasons, pa.string()))


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
