"""What a message of the topic must look like to become a reading.

This module is the definition: a message is a reading exactly if :func:`decode_key` and :func:`decode_value` accept it.
:mod:`scanner` takes the ordinary messages faster and leaves every other one to it, so the two can only agree.

The key is the text ``"latitude, longitude"``, as JSON or as it is; white space in it makes no difference. The value
is one JSON object whose ``created_at`` (``2022-07-18 00:00:00 UTC``, or as ISO 8601 has it with ``Z`` or ``+00:00``)
and ``PM2.5_CF1_ug/m3`` are required. A number may come as JSON number or as text. The other known fields may be
missing, null or empty; what else cannot be read there is left out, and the field is noted as emptied. Only a
``sensor_index`` that cannot be read makes the message no reading: nobody knows whose it is. Unknown fields are left
aside; a known field that comes twice makes the message ambiguous and so no reading.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn, TypeVar

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
from aqi_dagster.pipeline.decoding.reasons import (
    FutureMessageError,
    RejectedMessageError,
    no_object,
    no_place,
    no_time,
    unreadable_key,
    unreadable_value,
)
from aqi_dagster.sensors import even_spelling

TIME_FORMAT = "%Y-%m-%d %H:%M:%S UTC"

MOST_KEY_BYTES = 256
"""A place with all the digits that two numbers may have is shorter."""

MOST_NAME_CHARACTERS = 200

_BLANKS = " \t\n\r\v\f"
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}:\d{2})(\.\d+)?(.*)", re.ASCII)
_UTC = (" UTC", "Z", "+00:00")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
"""A number as text; whether float64 holds it is another question."""

_WHOLE_NUMBER = re.compile(r"([+-]?\d{1,18})(?:\.0*)?", re.ASCII)
_NO_NAME = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

_NEITHER_NUMBER_NOR_TEXT = "\x00"
"""Stands for what else JSON has: whatever the field, it cannot be read."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Reading:
    """One decoded message value; units as the columns of ``readings`` tell them.

    ``emptied`` are the fields (as the topic calls them) that held something that cannot be read, and are None here.
    """

    created_at: datetime
    pm25_cf1: float
    entry_id: int | None
    optional: dict[str, float | None]
    sensor_index: int | None = None
    sensor_name: str | None = None
    location_type: int | None = None
    emptied: tuple[str, ...] = ()


def decode_key(key: bytes | None) -> str:
    """The place that a message key names, in its one spelling (:func:`~aqi_dagster.sensors.even_spelling`).

    Raises :class:`RejectedMessageError`.

    >>> decode_key(b'"45.504625,-122.595016"')
    '45.504625, -122.595016'
    """
    if key is None:
        raise RejectedMessageError("key is missing")
    if len(key) > MOST_KEY_BYTES:
        raise RejectedMessageError(f"key is longer than any place: more than {MOST_KEY_BYTES} bytes")
    try:
        text = key.decode("utf-8")
    except UnicodeDecodeError:
        raise unreadable_key(key) from None
    # Some producers write it without JSON's quotes.
    place = even_spelling(text)
    if place is None:
        try:
            decoded = json.loads(text)
        except ValueError:
            raise unreadable_key(key) from None
        place = even_spelling(decoded) if isinstance(decoded, str) else None
        if place is None:
            raise no_place(decoded)
    return place


def decode_value(
    value: bytes | None, now: datetime, future_allowance: timedelta, names: FieldNames = OWN_NAMES
) -> Reading:
    """The reading that a message value holds.

    ``now`` is the present moment (naive UTC); a ``created_at`` later than ``now + future_allowance`` is refused.
    ``names`` are what the topic calls the fields. Raises :class:`RejectedMessageError`.
    """
    fields = _Fields(_json_object(value, names), names)
    created_at = fields.required(TIME_FIELD, _time)
    if created_at > now + future_allowance:
        raise FutureMessageError(f"{names[TIME_FIELD]} is in the future", created_at)
    pm25 = fields.required(PM25_FIELD, _mass)
    optional = {
        column: fields.optional(field, _mass if column in MASSES else _number)
        for column, field in OPTIONAL_NUMBERS.items()
    }
    if optional["humidity"] is None:
        optional["humidity"] = fields.optional(OLD_HUMIDITY_FIELD, _number)
    entry_id = fields.optional(ENTRY_ID_FIELD, _whole_number)
    index = fields.needed_if_there(INDEX_FIELD, _index)
    name = fields.optional(NAME_FIELD, _name)
    location = fields.optional(LOCATION_FIELD, _location_type)
    return Reading(created_at, pm25, entry_id, optional, index, name, location, tuple(fields.emptied))


def time_of(value: bytes, names: FieldNames = OWN_NAMES) -> datetime | None:
    """When ``value`` says that it was measured, whatever else is wrong with it; None if it does not say."""
    try:
        return _Fields(_json_object(value, names), names).required(TIME_FIELD, _time)
    except RejectedMessageError:
        return None


class _Fields:
    """The fields of one value, to be read by the names that we know them by."""

    def __init__(self, fields: dict[str, Any], names: FieldNames) -> None:
        self._fields = fields
        self._names = names
        self.emptied: list[str] = []

    def needed_if_there(self, known: str, read: Callable[[str, str], Value]) -> Value | None:
        """What ``read`` makes of the field ``known``, whose error it raises; None if it is missing or blank."""
        name = self._names[known]
        value = self._fields.get(name)
        text = value.strip(_BLANKS) if isinstance(value, str) else value
        if text is None or text == "":
            return None
        return read(name, text if isinstance(text, str) else _NEITHER_NUMBER_NOR_TEXT)

    def required(self, known: str, read: Callable[[str, str], Value]) -> Value:
        """The same; an error also if it is missing."""
        value = self.needed_if_there(known, read)
        if value is None:
            raise RejectedMessageError(f"{self._names[known]} is missing")
        return value

    def optional(self, known: str, read: Callable[[str, str], Value]) -> Value | None:
        """The same; None, and the field noted as emptied, if it cannot be read."""
        try:
            return self.needed_if_there(known, read)
        except RejectedMessageError:
            self.emptied.append(self._names[known])
            return None


def _json_object(value: bytes | None, names: FieldNames) -> dict[str, Any]:
    """The fields of ``value``, numbers as they are written."""
    if value is None:
        raise RejectedMessageError("value is missing")

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name, given in pairs:
            if name in fields and name in names.known:
                raise RejectedMessageError(f"{name} comes twice")
            fields[name] = given
        return fields

    try:
        decoded = json.loads(
            value.decode("utf-8"),
            parse_constant=_refuse_constant,
            parse_float=str,
            parse_int=str,
            object_pairs_hook=distinct,
        )
    except RejectedMessageError:
        raise
    except (ValueError, RecursionError):
        raise unreadable_value(value) from None
    if not isinstance(decoded, dict):
        raise no_object(decoded)
    return decoded


def _refuse_constant(name: str) -> NoReturn:
    raise RejectedMessageError(f"value is not JSON: it holds {name}")


def _time(field: str, text: str) -> datetime:
    match = _TIME.fullmatch(text)
    if match is None or match[4] not in _UTC or (match[3] or "").strip(".0"):
        raise no_time(field, match)
    try:
        return datetime.fromisoformat(f"{match[1]} {match[2]}")
    except ValueError:
        raise RejectedMessageError(f"{field} is no date") from None


def _number(field: str, text: str) -> float:
    if NUMBER.fullmatch(text) is None:
        raise RejectedMessageError(f"{field} is not a number")
    number = float(text)
    if not math.isfinite(number):
        raise RejectedMessageError(f"{field} is too large")
    return number


def _mass(field: str, text: str) -> float:
    number = _number(field, text)
    if abs(number) > MOST_MASS:
        raise RejectedMessageError(f"{field} is beyond what any instrument reports: {MOST_MASS:,.0f} ug/m3 either way")
    return number


def _whole_number(field: str, text: str) -> int:
    match = _WHOLE_NUMBER.fullmatch(text)
    if match is None:
        raise RejectedMessageError(f"{field} is not a whole number")
    return int(match[1])


def _index(field: str, text: str) -> int:
    index = _whole_number(field, text)
    if index < 0:
        raise RejectedMessageError(f"{field} is negative")
    return index


def _name(field: str, text: str) -> str:
    name = re.sub(f"[{_BLANKS}]+", " ", text)
    if len(name) > MOST_NAME_CHARACTERS or _NO_NAME.search(name):
        raise RejectedMessageError(f"{field} is no name")
    return name


def _location_type(field: str, text: str) -> int:
    number = _number(field, text)
    if number not in (0, 1):
        raise RejectedMessageError(f"{field} is neither 0 nor 1")
    return int(number)
