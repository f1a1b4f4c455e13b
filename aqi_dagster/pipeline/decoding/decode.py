"""From raw messages to columns: each message of a batch becomes one reading or one rejected message.

Free of the database. Ordinary messages are decoded together (:mod:`fast_path`), all others one by one, as
:mod:`definition` has it.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aqi_dagster.message_fields import OWN_NAMES, FieldNames
from aqi_dagster.pipeline.decoding.definition import MOST_KEY_BYTES, decode_key, decode_value
from aqi_dagster.pipeline.decoding.reasons import FutureMessageError, RejectedMessageError
from aqi_dagster.pipeline.decoding.value_schema import VALUE_SCHEMA
from aqi_dagster.sensors import identity
from aqi_dagster.windows import WINDOW_LENGTH


@dataclass(frozen=True)
class Decoded:
    """What became of a batch.

    ``readings`` has the columns of the table of that name that a message fills, and those of ``sensors``: the sensor's
    index, name and location type. ``rejected`` has the messages that are no readings as they came, the ``reason``,
    and ``due_at``: their ``created_at`` if they only lie in the future.
    ``emptied`` counts the readings that had something unreadable in a field that is not needed, by field.
    """

    readings: pa.Table
    rejected: pa.Table
    emptied: Counter[str] = field(default_factory=Counter)


def decode(messages: pa.Table, now: datetime, future_allowance: timedelta, names: FieldNames = OWN_NAMES) -> Decoded:
    """Decode ``messages`` (:data:`batches.MESSAGES_SCHEMA`), and leave none of them out.

    ``now`` is naive UTC; a ``created_at`` beyond ``now + future_allowance`` is rejected. ``names`` are what the topic
    calls the fields.
    """
    # Not imported above: it takes a quarter of a second, and many a pull finds nothing new.
    from aqi_dagster.pipeline.decoding.fast_path import scan

    newest = now + future_allowance
    places = _places(messages["key"].combine_chunks())
    ordinary, readings = scan(messages["value"], names)
    timely = pc.less_equal(readings["created_at"], pa.scalar(newest, pa.timestamp("us"))).to_numpy()
    sound = timely & places.is_valid().to_numpy(zero_copy_only=False)[ordinary]
    if not sound.all():
        readings = readings.filter(pa.array(sound))
        ordinary[ordinary] = sound
    if ordinary.all():
        return Decoded(_with_origin(messages, places, readings), _rejected(messages.schema.empty_table(), [], []))
    # In one piece: of a column in many, Arrow looks up rows a hundred times as slowly.
    messages = messages.combine_chunks()
    rows, rest = np.flatnonzero(ordinary), np.flatnonzero(~ordinary)
    odd_ones = messages.take(rest)
    odd_readings, reasons, due, emptied = _one_by_one(odd_ones, newest, names)
    refused = np.array([reason is not None for reason in reasons])
    rows = np.append(rows, rest[~refused])
    readings = pa.concat_tables([readings, odd_readings])
    return Decoded(
        _with_origin(messages.take(rows), places.take(rows), readings),
        _rejected(odd_ones.filter(pa.array(refused)), [*filter(None, reasons)], due),
        emptied,
    )


def _with_origin(messages: pa.Table, places: pa.DictionaryArray, readings: pa.Table) -> pa.Table:
    """The ``readings`` of ``messages`` with which sensor measured them and where they come from."""
    columns = {
        "sensor": _sensors(places, readings["sensor_index"]),
        "window_start": pc.floor_temporal(readings["created_at"], WINDOW_LENGTH // timedelta(hours=1), "hour"),
        **{name: messages[name] for name in ("kafka_partition", "kafka_offset")},
        **{name: readings[name] for name in readings.column_names},
    }
    return pa.table(columns)


def _rejected(messages: pa.Table, reasons: list[str], due: list[datetime | None]) -> pa.Table:
    columns = {"reason": pa.array(reasons, pa.string()), "due_at": pa.array(due, pa.timestamp("us"))}
    return pa.table({**{name: messages[name] for name in messages.column_names}, **columns})


def _one_by_one(
    messages: pa.Table, newest: datetime, names: FieldNames
) -> tuple[pa.Table, list[str | None], list[datetime | None], Counter[str]]:
    """The readings among ``messages``; why each message is none, or None if it is one; and the fields emptied.

    Of each that is none also when it may be one: it lies in the future, by our clock.
    """
    readings: list[dict[str, Any]] = []
    reasons: list[str | None] = []
    due: list[datetime | None] = []
    emptied: Counter[str] = Counter()
    for message in messages.to_pylist():
        try:
            decode_key(message["key"])
            reading = decode_value(message["value"], newest, timedelta(), names)
        except RejectedMessageError as reason:
            reasons.append(str(reason))
            due.append(reason.created_at if isinstance(reason, FutureMessageError) else None)
        else:
            readings.append(vars(reading) | reading.optional)
            reasons.append(None)
            emptied.update(reading.emptied)
    return pa.Table.from_pylist(readings, VALUE_SCHEMA), reasons, due, emptied


def _places(keys: pa.Array) -> pa.DictionaryArray:
    """The place that each key names; null where it names none."""
    distinct = keys.dictionary_encode()
    names = [_place_or_none(key) for key in distinct.dictionary.to_pylist()]
    refused = pa.array([name is None for name in names], pa.bool_()).take(distinct.indices)
    indices = pc.if_else(refused, pa.scalar(None, pa.int32()), distinct.indices)
    return pa.DictionaryArray.from_arrays(indices, pa.array([name or "" for name in names], pa.string()))


def _place_or_none(key: bytes) -> str | None:
    # Those that are too long are not kept: there is no end to what they may take.
    return _place_of_short_key(key) if len(key) <= MOST_KEY_BYTES else None


@lru_cache(maxsize=1 << 16)
def _place_of_short_key(key: bytes) -> str | None:
    """The place of a key of at most :data:`MOST_KEY_BYTES`: all that are kept take less than 64 MB."""
    try:
        return decode_key(key)
    except RejectedMessageError:
        return None


def _sensors(places: pa.DictionaryArray, indexes: pa.ChunkedArray) -> pa.DictionaryArray:
    """The sensor of each reading, from its place and its index or null."""
    if indexes.null_count == len(indexes):
        return places
    of_index = pc.fill_null(indexes, -1).combine_chunks().dictionary_encode()
    numbers = places.indices.to_numpy().astype(np.int64) * len(of_index.dictionary) + of_index.indices.to_numpy()
    distinct = pa.array(numbers).dictionary_encode()
    place_texts, index_numbers = places.dictionary.to_pylist(), of_index.dictionary.to_pylist()
    sensors = []
    for number in distinct.dictionary.to_pylist():
        place, index = divmod(number, len(index_numbers))
        sensors.append(identity(place_texts[place], None if index_numbers[index] < 0 else index_numbers[index]))
    return pa.DictionaryArray.from_arrays(distinct.indices, pa.array(sensors, pa.string()))
