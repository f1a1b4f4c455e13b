"""Ordinary messages, decoded together by the compiled :mod:`scanner`."""

import json
from functools import lru_cache

import numpy as np
import pyarrow as pa

from aqi_dagster.message_fields import (
    ENTRY_ID_FIELD,
    INDEX_FIELD,
    LOCATION_FIELD,
    MASSES,
    MOST_MASS,
    NAME_FIELD,
    OLD_HUMIDITY_FIELD,
    OPTIONAL_NUMBERS,
    OWN_NAMES,
    PM25_FIELD,
    TIME_FIELD,
    FieldNames,
)
from aqi_dagster.pipeline.decoding.definition import MOST_NAME_CHARACTERS
from aqi_dagster.pipeline.decoding.scanner import LAST_ASCII, PM25, Bits, Bytes, Floats, Integers, Mask, scan_messages
from aqi_dagster.pipeline.decoding.value_schema import VALUE_SCHEMA

_FIELDS = {
    "created_at": TIME_FIELD,
    "entry_id": ENTRY_ID_FIELD,
    "sensor_index": INDEX_FIELD,
    "pm25_cf1": PM25_FIELD,
    **MASSES,
    **{column: field for column, field in OPTIONAL_NUMBERS.items() if column not in MASSES},
    "old_humidity": OLD_HUMIDITY_FIELD,
    "location_type": LOCATION_FIELD,
    "sensor_name": NAME_FIELD,
}
"""Column to field, in the order that the scanner asks for: integers, PM2.5, masses, other numbers, the name."""

_COLUMNS = list(_FIELDS)
_FLOATS = len(_COLUMNS) - PM25 - 1
_MASSES = len(MASSES) + 1
_OTHER_COLUMNS = np.array(
    [PM25 + _MASSES, *(_COLUMNS.index(name) for name in ("humidity", "old_humidity", "location_type", "sensor_name"))]
)


def scan(values: pa.ChunkedArray, names: FieldNames = OWN_NAMES) -> tuple[Mask, pa.Table]:
    """Which of ``values`` (binary, null ones without bytes) are ordinary readings, and what these hold.

    The table has a row for each of these and the columns of :data:`VALUE_SCHEMA`. ``names`` are what the topic
    calls the fields.
    """
    found = _Found(len(values), names)
    for chunk in values.chunks:
        found.scan(chunk)
    return found.taken, found.table()


class _Found:
    """What was found in the chunks of a column so far.

    Chunk by chunk, because putting all those bytes together takes as long as a quarter of all else.
    """

    def __init__(self, count: int, names: FieldNames) -> None:
        self._count = count
        self._first = 0
        self._names = _texts_of_names(names)
        self._sensor_names: list[pa.Array] = []
        self._named_rows: list[Integers] = []
        self.taken: Mask = np.zeros(count, np.bool_)
        self._present: Bits = np.zeros(count, np.int32)
        # Left as memory comes: what they hold counts only where it is present.
        self._integers: Integers = np.empty((PM25, count), np.int64)
        self._floats: Floats = np.empty((_FLOATS, count))

    def scan(self, values: pa.Array) -> None:
        """Scan ``values``, which follow those that were scanned before."""
        _, offsets, data = values.buffers()
        bounds = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
        # Where all values are empty there may be no buffer.
        text = np.frombuffer(data or b"", np.uint8)
        long, named = np.empty((_FLOATS * len(values) + 1, 4), np.int64), np.empty((len(values) + 1, 3), np.int64)
        long[0, 0] = named[0, 0] = 0
        places = (self._first, self.taken, self._present, self._integers, self._floats, long, named)
        scan_messages(text, bounds, *places, *self._names, _OTHER_COLUMNS, MOST_MASS, MOST_NAME_CHARACTERS)
        self._read_long_numbers(text, long[1 : 1 + long[0, 0]])
        # Mostly there is nothing but ASCII. Else the scanner cannot tell whether it is UTF-8.
        if text.size and text.max() > LAST_ASCII:
            for row in np.flatnonzero(self.taken[self._first : self._first + len(values)]).tolist():
                self.taken[self._first + row] = _is_utf8(text[bounds[row] : bounds[row + 1]])
        self._read_names(text, named[1 : 1 + named[0, 0]])
        self._first += len(values)

    def _read_long_numbers(self, text: Bytes, long: Integers) -> None:
        """Put numbers that were noted to their places: Arrow reads those of any length."""
        if not len(long):
            return
        columns, rows = long[:, 0], long[:, 1]
        numbers = _pieces(text, long[:, 2:]).cast(pa.float64()).to_numpy()
        self.taken[rows[(columns < _MASSES) & (numbers > MOST_MASS)]] = False
        self._floats[columns, rows] = np.where(np.signbit(self._floats[columns, rows]), -numbers, numbers)

    def _read_names(self, text: Bytes, named: Integers) -> None:
        named = named[self.taken[named[:, 0]]]
        if len(named):
            self._named_rows.append(named[:, 0])
            self._sensor_names.append(_pieces(text, named[:, 1:]))

    def table(self) -> pa.Table:
        """What the messages that are taken hold."""
        in_any, in_all = (int(reduce(self._present)) for reduce in (np.bitwise_or.reduce, np.bitwise_and.reduce))
        columns = [self._column(field.name, field.type, in_any, in_all) for field in VALUE_SCHEMA]
        table = pa.Table.from_arrays(columns, schema=VALUE_SCHEMA)
        return table if self.taken.all() else table.filter(pa.array(self.taken))

    def _column(self, name: str, kind: pa.DataType, in_any: int, in_all: int) -> pa.Array:
        """What all messages hold in a column; the bits say which columns any or all of them fill."""
        number = _COLUMNS.index(name)
        if name == "sensor_name":
            return self._name_column(kind)
        if not in_any >> number & 1:
            return pa.nulls(self._count, kind)
        numbers = self._integers[number] if number < PM25 else self._floats[number - PM25]
        missing = None if in_all >> number & 1 else self._present >> number & 1 == 0
        if name == "location_type":
            numbers = (numbers == 1).astype(np.int8)
        return pa.array(numbers, mask=missing).view(kind)

    def _name_column(self, kind: pa.DataType) -> pa.Array:
        if not self._named_rows:
            return pa.nulls(self._count, kind)
        encoded = pa.concat_arrays(self._sensor_names).dictionary_encode()
        indices, missing = np.zeros(self._count, np.int32), np.ones(self._count, np.bool_)
        rows = np.concatenate(self._named_rows)
        indices[rows] = encoded.indices.to_numpy()
        missing[rows] = False
        return pa.DictionaryArray.from_arrays(pa.array(indices, mask=missing), encoded.dictionary)


@lru_cache(maxsize=4)
def _texts_of_names(names: FieldNames) -> tuple[Bytes, Integers]:
    """What the topic calls each column's field, as JSON writes it, end to end, and where each begins and ends."""
    texts = [json.dumps(names[field], ensure_ascii=False)[1:-1].encode() for field in _FIELDS.values()]
    return np.frombuffer(b"".join(texts), np.uint8), np.cumsum([0, *map(len, texts)])


def _pieces(text: Bytes, bounds: Integers) -> pa.Array:
    """The pieces of ``text`` from the first to the second of each of ``bounds``, which rise."""
    ends = np.append(bounds.ravel(), bounds[-1, 1]).astype(np.int32)
    # Every second piece is what lies between two of them.
    pieces = pa.Array.from_buffers(pa.string(), 2 * len(bounds), [None, pa.py_buffer(ends), pa.py_buffer(text)])
    return pieces.take(pa.array(np.arange(0, 2 * len(bounds), 2)))


def _is_utf8(text: Bytes) -> bool:
    try:
        text.tobytes().decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
