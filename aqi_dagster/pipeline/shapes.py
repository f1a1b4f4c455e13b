"""Decoding all messages of one shape at once.

A producer writes the same fields in the same order into every message: only the values differ. So one message, the
sample, tells where the values of thousands lie. Quotation marks cut them into columns, as a CSV reader's delimiter. Two
tests make that guess certain: the values, put back between the sample's constant text, give the message again byte by
byte; and each is of the strict form that its field needs, in which it can neither end its JSON token nor mean anything
but what :mod:`messages` makes of it. A message that fails them is left to that module.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from aqi_dagster.pipeline.messages import (
    OLD_HUMIDITY_FIELD,
    OPTIONAL_NUMBERS,
    PM25_FIELD,
    VALUE_SCHEMA,
    RejectedMessageError,
    decode_value,
)

_COLUMN_OF_FIELD = {
    "created_at": "created_at",
    "entry_id": "entry_id",
    PM25_FIELD: "pm25_cf1",
    OLD_HUMIDITY_FIELD: "old_humidity",
    **{field: column for column, field in OPTIONAL_NUMBERS.items()},
}

# A month's days, without 29 February: whether that is a date is left to whoever decodes one by one.
_DATE = (
    r"(?:19|20)\d\d-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)"
    r"|02-(?:0[1-9]|1\d|2[0-8]))"
)
_TIME = _DATE + r" (?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d UTC"

# So few digits can neither overflow nor be more than a float or an integer holds.
_QUOTED = {
    "created_at": _TIME,
    "entry_id": r"(?:-?\d{1,18})?",
    "pm25_cf1": r"-?\d{1,15}(?:\.\d{1,15})?",
    None: r"[ !#-\[\]-~]*",
}
_QUOTED_OPTIONAL_NUMBER = r"(?:-?\d{1,15}(?:\.\d{1,15})?)?"
_BARE_INTEGER = r"(?:0|-?[1-9]\d{0,14})"
_BARE_NUMBER = rf"(?:{_BARE_INTEGER}(?:\.\d{{1,15}})?|-0\.\d{{1,15}})"

_BARE_VALUE = re.compile(r"(\s*:\s*)(-?\d[^,}\s]*)(\s*[,}]\s*)", re.ASCII)

_Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Value:
    """Where one value lies: which segment between quotation marks, less what stands around it there.

    ``column`` of the readings, or None if the field is not known; ``pattern`` is what the value must match.
    """

    column: str | None
    pattern: str
    segment: int
    lead: int = 0
    trail: int = 0

    @property
    def quoted(self) -> bool:
        """Whether it stands in quotation marks; a bare one has a colon in front."""
        return not self.lead


@dataclass(frozen=True)
class Shape:
    """The values of a message and the ``constants``, the text before each of them and after the last one."""

    values: tuple[Value, ...]
    constants: tuple[bytes, ...]
    segments: int

    def spans(self, sample: bytes) -> Iterator[tuple[Value, int, int]]:
        """Each value with its begin and end in ``sample``, which has this shape."""
        segments = sample.split(b'"')
        end = 0
        for value, constant in zip(self.values, self.constants, strict=False):
            begin = end + len(constant)
            end = begin + len(segments[value.segment]) - value.lead - value.trail
            yield value, begin, end

    def decode(self, messages: pa.Array) -> tuple[_Mask, pa.Table]:
        """Which of ``messages`` (binary, none null or empty) have this shape, and what these hold.

        The table has the columns of :data:`messages.VALUE_SCHEMA`.
        """
        strings = self._cut(messages)
        if strings is not None:
            return self._checked(messages, strings)
        # Some have more values or fewer, or a line feed between them: the reader takes no table with such lines.
        alike = _quotation_marks(messages) == self.segments - 1
        alike &= ~_flags(pc.match_substring_regex(messages, "[\r\n]"))
        some = messages.filter(alike)
        strings = self._cut(some)
        if strings is None:
            return np.zeros(len(messages), np.bool_), VALUE_SCHEMA.empty_table()
        alike[alike], values = self._checked(some, strings)
        return alike, values

    def _checked(self, messages: pa.Array, strings: list[pa.Array]) -> tuple[_Mask, pa.Table]:
        """Which of ``messages`` these ``strings`` are certainly the values of, and what these hold."""
        text = [part for pair in zip(self.constants, strings, strict=False) for part in pair]
        rebuilt = pc.binary_join_element_wise(*text, self.constants[-1], b"")
        pattern = r"\n".join(value.pattern for value in self.values)
        strict = pc.match_substring_regex(pc.binary_join_element_wise(*strings, b"\n"), rf"\A{pattern}\z")
        fits = _flags(pc.and_(pc.equal(rebuilt, messages), strict))
        if not fits.all():
            strings = [column.filter(fits) for column in strings]
        return fits, self._typed(strings)

    def _typed(self, strings: list[pa.Array]) -> pa.Table:
        """What the values mean, now that they are sure to be ASCII."""
        texts = {value.column: column.view(pa.string()) for value, column in zip(self.values, strings, strict=True)}
        columns = {name: _TYPES.get(name, _number)(column) for name, column in texts.items() if name is not None}
        if (old_humidity := columns.pop("old_humidity", None)) is not None:
            newer = columns.get("humidity")
            columns["humidity"] = old_humidity if newer is None else pc.coalesce(newer, old_humidity)
        for field in VALUE_SCHEMA:
            columns.setdefault(field.name, pa.nulls(len(strings[0]), field.type))
        return pa.table(columns).select(VALUE_SCHEMA.names)

    def _cut(self, messages: pa.Array) -> list[pa.Array] | None:
        """The values as they came, if every message holds as many quotation marks as the sample, and no line feed."""
        lines = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(messages)], pa.int32()), messages), b"\n")
        names = [str(number) for number in range(self.segments)]
        wanted = [str(value.segment) for value in self.values]
        try:
            table = csv.read_csv(
                pa.BufferReader(lines[0].as_buffer()),
                # One thread: the other core reads from Kafka meanwhile.
                csv.ReadOptions(column_names=names, use_threads=False, block_size=1 << 22),
                csv.ParseOptions(delimiter='"', quote_char=False),
                csv.ConvertOptions(include_columns=wanted, column_types=dict.fromkeys(wanted, pa.binary())),
            )
        except pa.ArrowInvalid:
            return None
        if table.num_rows != len(messages):
            return None
        strings = [table[str(value.segment)].combine_chunks() for value in self.values]
        return [
            pc.binary_slice(column, value.lead, -value.trail) if value.lead else column
            for value, column in zip(self.values, strings, strict=True)
        ]


def shape_of(sample: bytes) -> Shape | None:
    """The shape of ``sample``, a message value; None if it is no reading, or nested, or has escaped characters."""
    try:
        decode_value(sample, datetime.max, timedelta())  # noqa: DTZ901 (naive UTC by convention)
    except RejectedMessageError:
        return None
    text = sample.decode()
    if "\\" in text:
        return None
    segments = text.split('"')
    # Seen in the text, because the decoded object hides what is nested in a field that comes twice.
    outside_strings = "".join(segments[::2])
    if "[" in outside_strings or outside_strings.count("{") > 1:
        return None
    values, constants, constant = [], [], segments[0]
    place = 1
    while place < len(segments):
        name, between = segments[place : place + 2]
        column = _COLUMN_OF_FIELD.get(name)
        constant += f'"{name}"'
        if between.strip() == ":":
            values.append(Value(column, _QUOTED.get(column, _QUOTED_OPTIONAL_NUMBER), place + 2))
            constants.append(f'{constant}{between}"')
            constant = f'"{segments[place + 3]}'
            place += 4
            continue
        if bare := _BARE_VALUE.fullmatch(between):
            pattern = _BARE_INTEGER if column == "entry_id" else _BARE_NUMBER
            values.append(Value(column, pattern, place + 1, len(bare[1]), len(bare[3])))
            constants.append(constant + bare[1])
            constant = bare[3]
        elif column is not None and "null" not in between:
            # True or false as the older humidity: refused wherever the newer one is empty, as here it is not.
            return None
        else:
            # true, false or null: the same in each message of this shape.
            constant += between
        place += 2
    return Shape(tuple(values), tuple(text.encode() for text in (*constants, constant)), len(segments))


def _flags(mask: pa.BooleanArray) -> _Mask:
    flags: _Mask = mask.to_numpy(zero_copy_only=False)
    return flags


def _quotation_marks(messages: pa.Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    """How many quotation marks each of ``messages`` (binary, none null or empty) holds."""
    _, offsets, data = messages.buffers()
    bounds = np.frombuffer(offsets, np.int32)[messages.offset : messages.offset + len(messages) + 1]
    marks = np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]] == ord('"')
    return np.add.reduceat(marks, bounds[:-1] - bounds[0], dtype=np.int64)


def _null_if_empty(column: pa.Array) -> pa.Array:
    return column if pc.min(pc.binary_length(column)).as_py() else pc.if_else(pc.equal(column, ""), None, column)


def _number(column: pa.Array) -> pa.Array:
    return _null_if_empty(column).cast(pa.float64())


def _whole_number(column: pa.Array) -> pa.Array:
    return _null_if_empty(column).cast(pa.int64())


def _time(column: pa.Array) -> pa.Array:
    return pc.utf8_slice_codeunits(column, 0, len("2022-07-18 00:00:00")).cast(pa.timestamp("us"))


_TYPES: dict[str, Callable[[pa.Array], pa.Array]] = {"created_at": _time, "entry_id": _whole_number}
