"""Decoding all messages at once that differ from one in nothing but the digits of its values.

The sensors of a network write the same fields with as many decimals, so that thousands of messages have each digit at
the same place. Such a message is a reading if that one, the sample, is: another digit can neither end a JSON token nor
make a number something else, but for a zero in front of a bare one and a time that no calendar has. A number is a sum
over its digits, of which float64 holds 15 exactly, divided by a power of ten, which it holds exactly too: so it is rounded
as a parser would round it.
"""

import re
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa

from aqi_dagster.pipeline.messages import VALUE_SCHEMA
from aqi_dagster.pipeline.shapes import shape_of

Rows = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
_Bytes = np.ndarray[Any, np.dtype[np.uint8]]
_Floats = np.ndarray[Any, np.dtype[np.float64]]

_NUMBER = re.compile(rb"-?(\d+)(?:\.(\d+))?")

_MOST_DIGITS = 15

_ROWS_AT_ONCE = 2_048
"""Messages that are looked at together: few enough to stay near the processor."""

_PRODUCTS_AT_ONCE = 1 << 17
"""Size of a matrix product: of larger ones OpenBLAS gives a half to a thread that spins between them, and takes the
processor from whoever writes to the store.
"""

_PARTS_OF_TIME = [slice(0, 4), slice(5, 7), slice(8, 10), slice(11, 13), slice(14, 16), slice(17, 19)]
"""Year, month, day, hour, minute and second in ``2022-07-18 06:00:00 UTC``."""

_FIRST_YEAR, _LAST_YEAR = 1900, 2099
_MONTHS = np.arange(f"{_FIRST_YEAR}-01", f"{_LAST_YEAR + 1}-02", dtype="M8[M]").astype("M8[D]").astype(np.int64)
"""Days from 1970 to the beginning of each month."""


class Values:
    """The message values of a batch (binary), to be looked at many at a time."""

    def __init__(self, values: pa.Array) -> None:
        _, offsets, data = values.buffers()
        bounds = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
        self._starts = bounds[:-1].astype(np.int64)
        self._data = data
        self.lengths = np.diff(bounds)

    def matrix(self, rows: Rows, length: int) -> _Bytes:
        """The bytes of ``rows``, all of that ``length``, a row each."""
        everywhere = np.ndarray((self._data.size - length + 1,), f"V{length}", self._data, strides=(1,))
        return everywhere[self._starts[rows]].view(np.uint8).reshape(len(rows), length)


class Columns:
    """Columns of readings (:data:`messages.VALUE_SCHEMA`), to be filled in for some rows at a time."""

    def __init__(self, count: int) -> None:
        self._values = {field.name: np.zeros(count, _NUMPY[field.type]) for field in VALUE_SCHEMA}
        self._missing = {field.name: np.ones(count, np.bool_) for field in VALUE_SCHEMA}

    def put(self, column: str, rows: Rows, values: np.ndarray[Any, Any]) -> None:
        """Fill in ``values`` of a column; what is never filled in is null."""
        self._values[column][rows] = values
        self._missing[column][rows] = False

    def table(self) -> pa.Table:
        """All rows."""
        arrays = []
        for field in VALUE_SCHEMA:
            missing = self._missing[field.name]
            mask = missing if missing.any() else None
            arrays.append(pa.array(self._values[field.name], mask=mask).view(field.type))
        return pa.Table.from_arrays(arrays, schema=VALUE_SCHEMA)


_NUMPY = {pa.timestamp("us"): np.int64, pa.int64(): np.int64, pa.float64(): np.float64}


@dataclass(frozen=True)
class _Number:
    """How the sum over its digits becomes the value of a ``column``."""

    column: str
    divisor: float
    negative: bool

    def value(self, sums: _Floats) -> _Floats:
        """The values of ``sums``."""
        values = sums / self.divisor
        return -values if self.negative else values


@dataclass(frozen=True)
class Layout:
    """Where a message has its digits, and what they count.

    ``template`` is the message with a zero for each digit that may be another; at these places ``room`` is 9, elsewhere
    0. At the places ``not_zero`` a zero would not be JSON. The sums by ``weights`` (sums, digits) over the digits at
    ``places`` are the parts of ``created_at`` and then the ``numbers``.
    """

    template: _Bytes
    room: _Bytes
    not_zero: list[int]
    places: list[int]
    weights: _Floats
    numbers: tuple[_Number, ...]

    @classmethod
    def of(cls, sample: bytes) -> Self | None:
        """The layout of ``sample``, a message value; None if it is no reading or out of the ordinary."""
        shape = shape_of(sample)
        if shape is None:
            return None
        free, not_zero = [], []
        sums: list[list[int]] = []
        numbers: list[_Number] = []
        spans = [*shape.spans(sample)]
        filled = {value.column for value, begin, end in spans if begin < end}
        for value, begin, end in spans:
            column = value.column
            if column == "old_humidity":
                column = None if "humidity" in filled else "humidity"
            places = [place for place in range(begin, end) if sample[place : place + 1].isdigit()]
            free += places
            match = _NUMBER.fullmatch(sample, begin, end)
            if column == "created_at":
                sums[:0] = [[*range(begin, end)[part]] for part in _PARTS_OF_TIME]
            elif match is not None and len(places) <= _MOST_DIGITS:
                negative, decimals = sample[begin] == ord("-"), len(match[2] or b"")
                if not value.quoted and (len(match[1]) > 1 or (negative and not decimals)):
                    not_zero.append(places[0])
                if column is not None:
                    numbers.append(_Number(column, 10.0**decimals, negative))
                    sums.append(places)
            elif not value.quoted or (value.column is not None and begin < end):
                return None
        template, room = np.frombuffer(sample, np.uint8).copy(), np.zeros(len(sample), np.uint8)
        template[free] = ord("0")
        room[free] = 9
        weights = np.zeros((len(sums), len(sample)))
        for weight, places in zip(weights, sums, strict=True):
            weight[places] = 10.0 ** np.arange(len(places))[::-1]
        counted = np.flatnonzero(weights.any(axis=0))
        return cls(template, room, not_zero, counted.tolist(), weights[:, counted], tuple(numbers))

    def decode(self, values: Values, rows: Rows, columns: Columns) -> Mask:
        """Fill in the ``columns`` of those ``rows`` of ``values`` that have this layout, and tell which these are."""
        fits: Mask = values.lengths[rows] == len(self.template)
        alike = rows[fits]
        parts = [alike[begin : begin + _ROWS_AT_ONCE] for begin in range(0, len(alike), _ROWS_AT_ONCE)]
        fits[fits] = np.concatenate([self._decode(values, part, columns) for part in parts] or [fits[:0]])
        return fits

    def _decode(self, values: Values, rows: Rows, columns: Columns) -> Mask:
        """The same for ``rows`` of the template's length."""
        above = values.matrix(rows, len(self.template)) ^ self.template
        fits: Mask = np.bitwise_or.reduce((above > self.room).view(np.uint8), axis=1) == 0
        if self.not_zero:
            fits &= (above[:, self.not_zero] > 0).all(axis=1)
        digits = above[:, self.places]
        if not fits.all():
            digits = digits[fits]
        sums = self._sums(digits.astype(np.float64))
        moments, exist = _moments(sums[: len(_PARTS_OF_TIME)].astype(np.int64))
        if not exist.all():
            moments, sums = moments[exist], sums[:, exist]
        fits[fits] = exist
        found = rows[fits]
        columns.put("created_at", found, moments)
        for number, total in zip(self.numbers, sums[len(_PARTS_OF_TIME) :], strict=True):
            columns.put(number.column, found, number.value(total))
        return fits

    def _sums(self, digits: _Floats) -> _Floats:
        """The sums of ``digits`` (rows, digits), in the shape (sums, rows)."""
        sums = np.empty((len(self.weights), len(digits)))
        step = max(1, _PRODUCTS_AT_ONCE // self.weights.size)
        for begin in range(0, len(digits), step):
            part = slice(begin, begin + step)
            sums[:, part] = self.weights @ digits[part].T
        return sums


def _moments(parts: np.ndarray[Any, np.dtype[np.int64]]) -> tuple[Rows, Mask]:
    """Microseconds from 1970 to times of which the ``parts`` are given, and which of them exist, from 1900 to 2099."""
    year, month, day, hour, minute, second = parts
    exist = (year >= _FIRST_YEAR) & (year <= _LAST_YEAR) & (month >= 1) & (month <= 12)
    begin = np.where(exist, (year - _FIRST_YEAR) * 12 + month - 1, 0)
    exist &= (day >= 1) & (day <= _MONTHS[begin + 1] - _MONTHS[begin]) & (hour < 24) & (minute < 60) & (second < 60)
    seconds = (((_MONTHS[begin] + day - 1) * 24 + hour) * 60 + minute) * 60 + second
    return seconds * 1_000_000, exist
