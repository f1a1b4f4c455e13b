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
Bits = np.ndarray[Any, np.dtype[np.int32]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

_CREATED_AT, _ENTRY_ID, _INDEX, PM25 = range(4)
"""The columns that are known here by their numbers: three of integers; those from the fourth on are of floats."""

_NUMBER, _HUMIDITY, _OLD_HUMIDITY, _LOCATION, _NAME = range(5)
"""Places in ``other_columns``."""

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
"""Stands for a time that is not valid."""

_QUOTE, _BACKSLASH, _PLUS, _MINUS, _DOT, _COMMA, _COLON, _OPEN, _CLOSE = (ord(character) for character in '"\\+-.,:{}')
_ZERO, _NINE, _T, _Z, _SPACE, _TAB, _LINE_FEED, _RETURN, _DELETE = (ord(character) for character in "09TZ \t\n\r\x7f")
LAST_ASCII = _DELETE

_SIGNATURE = types.void(
    types.Array(types.uint8, 1, "C", readonly=True),
    types.Array(types.int32, 1, "C", readonly=True),
    types.int64,
    types.boolean[::1],
    types.int32[::1],
    types.int64[:, ::1],
    types.float64[:, ::1],
    types.int64[:, ::1],
    types.int64[:, ::1],
    types.Array(types.uint8, 1, "C", readonly=True),
    types.int64[::1],
    types.int64[::1],
    types.float64,
    types.int64,
)

_NULL, _TRUE, _FALSE = (np.frombuffer(word, np.uint8) for word in (b"null", b"true", b"false"))
_TIME_FORM = np.frombuffer(b"0000-00-00 00:00:00", np.uint8)
_BEHIND_DATE = 10
_UTC, _NO_OFFSET = (np.frombuffer(word, np.uint8) for word in (b" UTC", b"+00:00"))


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
        character = data[begin + number]
        separates = number == _BEHIND_DATE and character == _T
        if _TIME_FORM[number] != _ZERO and character != _TIME_FORM[number] and not separates:
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
def _is_plain_name(data: Bytes, begin: int, end: int, longest: int) -> bool:
    """Whether a text is the name of a sensor as it stands: short, without a control character or a blank too many."""
    if end - begin > longest or data[begin] == _SPACE or data[end - 1] == _SPACE:
        return False
    for place in range(begin, end):
        if data[place] == _DELETE or (data[place] == _SPACE and data[place + 1] == _SPACE):
            return False
    return True


@compiled
def _message(
    data: Bytes,
    place: int,
    end: int,
    row: int,
    present: Bits,
    integers: Integers,
    floats: Floats,
    long: Integers,
    named: Integers,
    names: Bytes,
    name_bounds: Integers,
    other_columns: Integers,
    most_mass: float,
    longest_name: int,
    following: Integers,
) -> bool:
    """Read the message from ``place`` to ``end`` into ``row``; whether it is an ordinary reading.

    One long function: where another that is called with an array is too large to be inlined, Numba counts references,
    which takes as long as to read twenty characters.
    """
    place = _after_blanks(data, place, end)
    if place == end or data[place] != _OPEN:
        return False
    # Read once: whatever is written below could be in the same place, for all that the compiler knows.
    first_other, newer, older = other_columns[_NUMBER], other_columns[_HUMIDITY], other_columns[_OLD_HUMIDITY]
    location_type, name = other_columns[_LOCATION], other_columns[_NAME]
    seen, filled, previous = 0, 0, 0
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
            if not quoted or place >= end:
                return False
            moment = _moment(data, begin)
            if moment == NO_INTEGER:
                return False
            integers[_CREATED_AT, row] = moment
            filled |= 1 << _CREATED_AT
            if data[place] == _Z:
                place += 1
            else:
                place = _after_word(data, place, end, _UTC if data[place] == _SPACE else _NO_OFFSET)
            if place < 0 or place >= end or data[place] != _QUOTE:
                return False
            place += 1
        elif quoted and (column < 0 or column == name):
            place = _end_of_text(data, begin, end)
            if place < 0:
                return False
            if column >= 0 and place > begin:
                if not _is_plain_name(data, begin, place, longest_name):
                    return False
                named[0, 0] += 1
                note = named[named[0, 0]]
                note[0], note[1], note[2] = row, begin, place
            place += 1
        else:
            negative = signed = False
            if begin < end and data[begin] < _ZERO:
                while quoted and begin < end and data[begin] == _SPACE:
                    begin += 1
                negative = begin < end and data[begin] == _MINUS
                signed = negative or (quoted and begin < end and data[begin] == _PLUS)
                begin += signed
            place, value = begin, np.int64(0)
            while place < end and _ZERO <= data[place] <= _NINE:
                value = value * 10 + (data[place] - _ZERO)
                place += 1
            whole, decimals = place - begin, 0
            if place < end and data[place] == _DOT and (whole or quoted):
                place += 1
                dot = place
                while place < end and _ZERO <= data[place] <= _NINE:
                    value = value * 10 + (data[place] - _ZERO)
                    place += 1
                decimals = place - dot
                if not decimals and not (whole and quoted):
                    return False
            digits = whole + decimals
            if not digits:
                # Nothing is known of this field, unless there is no number where one should be.
                if signed or column == PM25:
                    return False
                if not quoted:
                    behind = _after_word(data, begin, end, _NULL)
                    if column < 0 and behind < 0:
                        behind = max(_after_word(data, begin, end, _TRUE), _after_word(data, begin, end, _FALSE))
                    if behind < 0:
                        return False
                    place = behind
            elif not quoted and whole > 1 and data[begin] == _ZERO:
                # JSON knows no number with an idle zero in front.
                return False
            elif column >= 0:
                filled |= 1 << column
                if column < PM25:
                    if place != begin + whole or whole > _MOST_DIGITS_OF_ID or (negative and column == _INDEX):
                        return False
                    integers[column, row] = -value if negative else value
                elif column == name:
                    return False
                else:
                    if digits <= _MOST_DIGITS:
                        number = value / _POWERS[decimals]
                    elif digits <= _MOST_DIGITS_OF_LONG and whole and column < older:
                        long[0, 0] += 1
                        note = long[long[0, 0]]
                        note[0], note[1], note[2], note[3] = column - PM25, row, begin, place
                        number = 0.0
                    else:
                        return False
                    if column < first_other and number > most_mass:
                        return False
                    if column == location_type and number != 0 and (number != 1 or negative):
                        return False
                    floats[column - PM25, row] = -number if negative else number
            if quoted:
                while place < end and data[place] == _SPACE:
                    place += 1
                if place >= end or data[place] != _QUOTE:
                    return False
                place += 1

        # What follows it.
        place = _after_blanks(data, place, end)
        if place == end:
            return False
        if data[place] == _CLOSE:
            if filled & (1 << newer | 1 << older) == 1 << older:
                floats[newer - PM25, row] = floats[older - PM25, row]
                filled |= 1 << newer
            present[row] = filled
            return filled & _REQUIRED == _REQUIRED and _after_blanks(data, place + 1, end) == end
        if data[place] != _COMMA:
            return False


@kept(_SIGNATURE)
def scan_messages(
    data: Bytes,
    bounds: np.ndarray[Any, np.dtype[np.int32]],
    first: int,
    taken: Mask,
    present: Bits,
    integers: Integers,
    floats: Floats,
    long: Integers,
    named: Integers,
    names: Bytes,
    name_bounds: Integers,
    other_columns: Integers,
    most_mass: float,
    longest_name: int,
) -> None:
    """Read the messages in ``data``, each from one of ``bounds`` to the next, and tell which are ``taken``.

    The first of them has place ``first`` in ``taken``, ``present``, ``integers`` and ``floats`` (columns, messages);
    the others follow. ``present`` has a bit for each column that a message fills; elsewhere the numbers mean nothing.
    Numbers of too many digits are noted in ``long``, whose first number says how many: by column of ``floats``,
    message, begin and end of their digits. For these ``floats`` has a zero of their sign. Sensors' names are noted in
    ``named`` in the same way: by message, begin and end, of messages that are not taken, too.

    ``names`` holds the names of the columns' fields end to end, each from one of ``name_bounds`` to the next.
    ``other_columns`` says where columns are that differ from others: the first number that is no mass, humidity, what
    stands in for it, location type, name. A mass of more than ``most_mass`` either way and a name of more than
    ``longest_name`` bytes are not ordinary.
    """
    # The column of the field that came first, and of that which followed each column's.
    following = np.zeros(len(name_bounds), np.int64)
    for message in range(len(bounds) - 1):
        taken[first + message] = _message(
            data,
            bounds[message],
            bounds[message + 1],
            first + message,
            present,
            integers,
            floats,
            long,
            named,
            names,
            name_bounds,
            other_columns,
            most_mass,
            longest_name,
            following,
        )
