"""Ordinary messages, decoded together by the compiled :mod:`scanner`."""

from typing import Any

import numpy as np
import pyarrow as pa

from aqi_dagster.pipeline.decoding.definition import OLD_HUMIDITY_FIELD, OPTIONAL_NUMBERS, PM25_FIELD, VALUE_SCHEMA
from aqi_dagster.pipeline.decoding.scanner import (
    LAST_ASCII,
    NO_INTEGER,
    PM25,
    Bytes,
    Floats,
    Integers,
    Mask,
    scan_messages,
)

_COLUMNS = {
    "created_at": "created_at",
    "entry_id": "entry_id",
    "pm25_cf1": PM25_FIELD,
    **OPTIONAL_NUMBERS,
    "old_humidity": OLD_HUMIDITY_FIELD,
}
"""Column to field, the first three as the scanner knows them."""

_FIELDS = [field.encode() for field in _COLUMNS.values()]
_NAMES, _NAME_BOUNDS = np.frombuffer(b"".join(_FIELDS), np.uint8), np.cumsum([0, *map(len, _FIELDS)])
_HUMIDITY = np.array([list(_COLUMNS).index(name) for name in ("humidity", "old_humidity")])


def scan(values: pa.ChunkedArray) -> tuple[Mask, pa.Table]:
    """Which of ``values`` (binary, null ones without bytes) are ordinary readings, and what these hold.

    The table has a row for each of these and the columns of :data:`messages.VALUE_SCHEMA`.
    """
    count = len(values)
    taken = np.zeros(count, np.bool_)
    integers = np.full((PM25, count), NO_INTEGER)
    floats = np.full((len(_COLUMNS) - PM25, count), np.nan)
    first = 0
    # Chunk by chunk, because putting all those bytes together takes as long as a quarter of all else.
    for chunk in values.chunks:
        _scan_chunk(chunk, first, taken, integers, floats)
        first += len(chunk)
    columns = dict(zip(_COLUMNS, [*integers, *floats], strict=True))
    arrays = [_array(columns[field.name], field.type) for field in VALUE_SCHEMA]
    table = pa.Table.from_arrays(arrays, schema=VALUE_SCHEMA)
    return taken, table if taken.all() else table.filter(pa.array(taken))


def _scan_chunk(values: pa.Array, first: int, taken: Mask, integers: Integers, floats: Floats) -> None:
    """Scan ``values`` into those places of the other arrays that begin with ``first``."""
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
    # Where all values are empty there may be no buffer.
    text = np.frombuffer(data or b"", np.uint8)
    long = np.zeros((len(floats) * len(values) + 1, 4), np.int64)
    scan_messages(text, bounds, first, taken, integers, floats, long, _NAMES, _NAME_BOUNDS, _HUMIDITY)
    _read_long_numbers(text, long[1 : 1 + long[0, 0]], floats)
    # Mostly there is nothing but ASCII. Else the scanner cannot tell whether it is UTF-8.
    if text.size and text.max() > LAST_ASCII:
        for row in np.flatnonzero(taken[first : first + len(values)]).tolist():
            taken[first + row] = _is_utf8(text[bounds[row] : bounds[row + 1]])


def _read_long_numbers(text: Bytes, long: Integers, floats: Floats) -> None:
    """Put numbers that were noted by column, row, begin and end to their places: Arrow reads those of any length."""
    if not len(long):
        return
    columns, rows = long[:, 0], long[:, 1]
    bounds = np.append(long[:, 2:].ravel(), long[-1, 3]).astype(np.int32)
    # Every second piece is what lies between two of them.
    pieces = pa.Array.from_buffers(pa.string(), 2 * len(long), [None, pa.py_buffer(bounds), pa.py_buffer(text)])
    numbers = pieces.take(pa.array(np.arange(0, 2 * len(long), 2))).cast(pa.float64()).to_numpy()
    floats[columns, rows] = np.where(np.signbit(floats[columns, rows]), -numbers, numbers)


def _array(column: np.ndarray[Any, Any], kind: pa.DataType) -> pa.Array:
    missing = np.isnan(column) if column.dtype == np.float64 else column == NO_INTEGER
    return pa.array(column, mask=missing if missing.any() else None).view(kind)


def _is_utf8(text: Bytes) -> bool:
    try:
        text.tobytes().decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
