"""A JSON scanner for ordinary messages, compiled to machine code by Numba.

It takes a message only if it knows of every byte that :mod:`messages` reads it in the same way: flat, without escaped
characters, numbers without exponent. All others it leaves to that module. The interpreter is free for other threads
while it works. :mod:`ordinary` has it in terms of Arrow.
"""

from typing import Any

import numpy as np
from numba import types

from aqi_dagster.pipeline.decoding.jit import compiled, kept

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

_CREATED_AT, _ENTRY_ID, PM25 = range(3)
"""The columns that are known here by their numbers: two of integers; all from the third on are of floats."""

_REQUIRED = 1 << _CREATED_AT | 1 << PM25

_MOST_DIGITS = 15
"""Digits of a number that float64 holds whatever they are, and so is the power of ten by which they are divided: the
quotient is rounded as a parser rounds.
"""

_POWERS = 10.0 ** np.arange(_MOST_DIGITS + 1)

_MOST_DIGITS_OF_LONG = 40
"""Digits that a number has at most if it is left to Arrow's parser."""

_MOST_DIGITS_OF_ID = 18

_FIRST_YEAR, _LAST_YEAR = 1900, 2099
_MONTHS = np.arange(f"{_FIRST_YEAR}-01", f"{_LAST_YEAR + 1}-02", dtype="M8[M]").astype("M8[D]").astype(np.int64)
"""Days from 1970 to the beginning of each month."""

NO_INTEGER = np.iinfo(np.int64).min
"""Stands for a time or a number that is missing or not valid."""

_QUOTE, _BACKSLASH, _MINUS, _DOT, _COMMA, _COLON, _OPEN, _CLOSE = (ord(character) for character in '"\\-.,:{}')
_ZERO, _NINE, _SPACE, _TAB, _LINE_FEED, _RETURN, LAST_ASCII = 0x30, 0x39, 0x20, 0x09, 0x0A, 0x0D, 0x7F


_SIGNATURE = types.void(
    types.Array(types.uint8, 1, "C", readonly=True),
    types.Array(types.int32, 1, "C", readonly=True),
    types.int64,
    types.boolean[::1],
    types.int64[:, ::1],
    types.float64[:, ::1],
    types.int64[:, ::1],
    types.Array(types.uint8, 1, "C", readonly=True),
    types.int64[::1],
    types.int64[::1],
)

_NULL, _TRUE, _FALSE = (np.frombuffer(word, np.uint8) for word in (b"null", b"true", b"false"))
_TIME_FORM = np.frombuffer(b"0000-00-00 00:00:00 UTC", np.uint8)


@compiled
def _after_blanks(data: Bytes, place: int, end: int) -> int:
    """Where something other than white space is."""
    while place < end and data[place] in (_SPACE, _LINE_FEED, _RETURN, _TAB):
        place += 1
    return place


@compiled
def _end_of_text(data: Bytes, place: int, end: int) -> int:
    """Where the text from ``place`` on has its closing quotation mark, or -1 if it is escaped anywhere or has none."""
    while place < end and data[place] != _QUOTE:
        if data[place] < _SPACE or data[place] == _BACKSLASH:
            return -1
        place += 1
    return place if place < end else -1


@compiled
def _after_word(data: Bytes, place: int, end: int, word: Bytes) -> int:
    """The place behind ``word``, or -1 if it is not here."""
    if end - place < len(word):
        return -1
    for number in range(len(word)):
        if data[place + number] != word[number]:
            return -1
    return place + len(word)


@compiled
def _column_of(data: Bytes, begin: int, end: int, names: Bytes, name_bounds: Integers) -> int:
    """The number of the column whose field is named here, or -1."""
    for column in range(len(name_bounds) - 1):
        first = name_bounds[column]
        length = name_bounds[column + 1] - first
        if length == end - begin:
            same = 0
            while same < length and data[begin + same] == names[first + same]:
                same += 1
            if same == length:
                return column
    return -1


@compiled
def _two_digits(data: Bytes, place: int) -> int:
    """The number that two digits write; a hopelessly negative one if they are none."""
    tens, ones = int(data[place]) - _ZERO, int(data[place + 1]) - _ZERO
    return tens * 10 + ones if 0 <= tens <= 9 and 0 <= ones <= 9 else -1_000_000


@compiled
def _moment(data: Bytes, begin: int) -> int:
    """Microseconds from 1970 to the time that is written from ``begin`` on, or :data:`NO_INTEGER`."""
    for number in range(len(_TIME_FORM)):
        if _TIME_FORM[number] != _ZERO and data[begin + number] != _TIME_FORM[number]:
            return NO_INTEGER
    year = _two_digits(data, begin) * 100 + _two_digits(data, begin + 2)
    month, day = _two_digits(data, begin + 5), _two_digits(data, begin + 8)
    hour, minute, second = _two_digits(data, begin + 11), _two_digits(data, begin + 14), _two_digits(data, begin + 17)
    if not (_FIRST_YEAR <= year <= _LAST_YEAR and 1 <= month <= 12):
        return NO_INTEGER
    month += (year - _FIRST_YEAR) * 12 - 1
    in_month = 1 <= day <= _MONTHS[month + 1] - _MONTHS[month]
    if not (in_month and 0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60):
        return NO_INTEGER
    days = int(_MONTHS[month]) + day - 1
    return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000


@compiled
def _message(
    data: Bytes,
    place: int,
    end: int,
    row: int,
    integers: Integers,
    floats: Floats,
    long: Integers,
    names: Bytes,
    name_bounds: Integers,
    humidity: Integers,
    following: Integers,
) -> bool:
    """Read the message from ``place`` to ``end`` into ``row``; whether it is an ordinary reading.

    One long function: where another that is called with an array is too large to be inlined, Numba counts references,
    which takes as long as to read twenty characters.
    """
    place = _after_blanks(data, place, end)
    if place == end or data[place] != _OPEN:
        return False
    seen, previous = 0, 0
    while True:
        # The name of a field.
        place = _after_blanks(data, place + 1, end)
        if place == end or data[place] != _QUOTE:
            return False
        place += 1
        begin = place
        # Mostly that which followed the one before in an earlier message.
        column = following[previous]
        first = name_bounds[column]
        length, same = name_bounds[column + 1] - first, 0
        while same < length and place < end and data[place] == names[first + same]:
            same += 1
            place += 1
        if same < length or place >= end or data[place] != _QUOTE:
            place = _end_of_text(data, begin, end)
            if place < 0:
                return False
            column = _column_of(data, begin, place, names, name_bounds)
        place = _after_blanks(data, place + 1, end)
        if place == end or data[place] != _COLON:
            return False
        place = _after_blanks(data, place + 1, end)
        if place == end:
            return False
        if column >= 0:
            if seen & 1 << column:
                return False
            seen |= 1 << column
            following[previous] = column
            previous = column + 1

        # Its value: a string, a number or a word.
        quoted = data[place] == _QUOTE
        begin = place + quoted
        if column == _CREATED_AT:
            place = begin + len(_TIME_FORM)
            if not quoted or place >= end or data[place] != _QUOTE:
                return False
            moment = _moment(data, begin)
            if moment == NO_INTEGER:
                return False
            integers[_CREATED_AT, row] = moment
            place += 1
        elif column < 0 and quoted:
            place = _end_of_text(data, begin, end) + 1
            if not place:
                return False
        else:
            negative = begin < end and data[begin] == _MINUS
            begin += negative
            place, value = begin, np.int64(0)
            while place < end and _ZERO <= data[place] <= _NINE:
                value = value * 10 + (data[place] - _ZERO)
                place += 1
            whole, decimals = place - begin, 0
            if whole and place < end and data[place] == _DOT:
                place += 1
                dot = place
                while place < end and _ZERO <= data[place] <= _NINE:
                    value = value * 10 + (data[place] - _ZERO)
                    place += 1
                decimals = place - dot
                if not decimals:
                    return False
            if not whole:
                # Nothing is known of this field, unless there is no number where one should be.
                if negative or column == PM25:
                    return False
                if not quoted:
                    behind = _after_word(data, begin, end, _NULL)
                    if column < 0 and behind < 0:
                        behind = max(_after_word(data, begin, end, _TRUE), _after_word(data, begin, end, _FALSE))
                    if behind < 0:
                        return False
                    place = behind
            elif not quoted and ((whole > 1 and data[begin] == _ZERO) or (negative and value == 0 and not decimals)):
                # JSON knows no number with an idle zero in front, and of one without decimals no negative zero.
                return False
            elif column < 0:
                # Python's parser refuses integers of thousands of digits.
                if whole > _MOST_DIGITS_OF_LONG:
                    return False
            elif column == _ENTRY_ID:
                if decimals or whole > _MOST_DIGITS_OF_ID:
                    return False
                integers[_ENTRY_ID, row] = -value if negative else value
            else:
                if whole + decimals <= _MOST_DIGITS:
                    number = value / _POWERS[decimals]
                elif whole + decimals <= _MOST_DIGITS_OF_LONG and column != humidity[1]:
                    long[0, 0] += 1
                    note = long[long[0, 0]]
                    note[0], note[1], note[2], note[3] = column - PM25, row, begin, place
                    number = 0.0
                else:
                    return False
                floats[column - PM25, row] = -number if negative else number
            if quoted:
                if place >= end or data[place] != _QUOTE:
                    return False
                place += 1

        # What follows it.
        place = _after_blanks(data, place, end)
        if place == end:
            return False
        if data[place] == _CLOSE:
            newer, older = humidity[0] - PM25, humidity[1] - PM25
            if np.isnan(floats[newer, row]):
                floats[newer, row] = floats[older, row]
            return seen & _REQUIRED == _REQUIRED and _after_blanks(data, place + 1, end) == end
        if data[place] != _COMMA:
            return False


@kept(_SIGNATURE)
def scan_messages(
    data: Bytes,
    bounds: np.ndarray[Any, np.dtype[np.int32]],
    first: int,
    taken: Mask,
    integers: Integers,
    floats: Floats,
    long: Integers,
    names: Bytes,
    name_bounds: Integers,
    humidity: Integers,
) -> None:
    """Read the messages in ``data``, each from one of ``bounds`` to the next, and tell which are ``taken``.

    The first of them has place ``first`` in ``taken``, ``integers`` and ``floats`` (columns, messages); the others
    follow. Where nothing is known, these stay as they are: all :data:`NO_INTEGER` and NaN at first. Numbers of too many
    digits are noted in ``long``, whose first number says how many: by column of ``floats``, message, begin and end of
    their digits. For these ``floats`` has a zero of their sign.

    ``names`` holds the names of the columns' fields end to end, each from one of ``name_bounds`` to the next.
    ``humidity`` are two columns of which the second one stands in where the first is not known.
    """
    # The column of the field that came first, and of that which followed each column's.
    following = np.zeros(len(name_bounds), np.int64)
    for message in range(len(bounds) - 1):
        row = first + message
        begin, end = bounds[message], bounds[message + 1]
        taken[row] = _message(data, begin, end, row, integers, floats, long, names, name_bounds, humidity, following)
