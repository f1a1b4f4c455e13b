"""What a message of the topic must look like to become a reading.

This module is the definition: a message is a reading exactly if :func:`decode_key` and :func:`decode_value` accept it.
:mod:`scanner` takes the ordinary messages faster and leaves every other one to it, so the two can only agree.

The key is the JSON encoding of the text ``"latitude, longitude"``; white space in it makes no difference. The value is
one JSON object whose ``created_at`` (``2022-07-18 00:00:00 UTC``) and ``PM2.5_CF1_ug/m3`` are required; the other known
fields may be missing, null or empty. A number may come as JSON number or as text. Unknown fields are left aside; a
known field that comes twice makes the message ambiguous and so no reading.
"""

import json
import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn

import pyarrow as pa

from aqi_dagster.sensors import even_spelling

TIME_FORMAT = "%Y-%m-%d %H:%M:%S UTC"

PM25_FIELD = "PM2.5_CF1_ug/m3"

OPTIONAL_NUMBERS = {
    "pm1_cf1": "PM1.0_CF1_ug/m3",
    "pm10_cf1": "PM10.0_CF1_ug/m3",
    "pm25_atm": "PM2.5_ATM_ug/m3",
    "temperature": "Temperature_F",
    "humidity": "Humidity_%",
    "rssi": "RSSI_dbm",
    "uptime": "UptimeMinutes",
}
"""Column of ``readings`` to field of the message, for the fields that may be missing."""

OLD_HUMIDITY_FIELD = "Humidity"
"""What older producers call ``Humidity_%``; used where the newer one is missing."""

VALUE_SCHEMA = pa.schema(
    [
        ("created_at", pa.timestamp("us")),
        ("pm25_cf1", pa.float64()),
        ("entry_id", pa.int64()),
        *((column, pa.float64()) for column in OPTIONAL_NUMBERS),
    ]
)
"""Columns of ``readings`` that a message value fills."""

KNOWN_FIELDS = frozenset(["created_at", "entry_id", PM25_FIELD, OLD_HUMIDITY_FIELD, *OPTIONAL_NUMBERS.values()])

_TIME = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2} UTC", re.ASCII)
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_ENTRY_ID = re.compile(r"-?\d{1,18}", re.ASCII)


class RejectedMessageError(ValueError):
    """The message is not a reading; the text is the reason that ``rejected_messages`` records."""


@dataclass(frozen=True)
class Reading:
    """One decoded message value; units as the columns of ``readings`` tell them."""

    created_at: datetime
    pm25_cf1: float
    entry_id: int | None
    optional: dict[str, float | None]


def decode_key(key: bytes | None) -> str:
    """The place that a message key names, in its one spelling (:func:`~aqi_dagster.sensors.even_spelling`).

    Raises :class:`RejectedMessageError`.

    >>> decode_key(b'"45.504625,-122.595016"')
    '45.504625, -122.595016'
    """
    if key is None:
        raise RejectedMessageError("key is missing")
    try:
        text = json.loads(key.decode("utf-8"))
    except UnicodeDecodeError:
        raise RejectedMessageError("key is not UTF-8") from None
    except (ValueError, RecursionError):
        raise RejectedMessageError("key is not JSON") from None
    place = even_spelling(text) if isinstance(text, str) else None
    if place is None:
        raise RejectedMessageError('key is not the text "latitude, longitude"')
    return place


def decode_value(value: bytes | None, now: datetime, future_allowance: timedelta) -> Reading:
    """The reading that a message value holds.

    ``now`` is the present moment (naive UTC); a ``created_at`` later than ``now + future_allowance`` is refused.
    Raises :class:`RejectedMessageError`.
    """
    fields = _json_object(value)
    created_at = _time(fields.get("created_at"))
    if created_at > now + future_allowance:
        raise RejectedMessageError("created_at is in the future")
    pm25 = _number(PM25_FIELD, fields.get(PM25_FIELD))
    if pm25 is None:
        raise RejectedMessageError(f"{PM25_FIELD} is missing")
    optional = {column: _number(field, fields.get(field)) for column, field in OPTIONAL_NUMBERS.items()}
    if optional["humidity"] is None:
        optional["humidity"] = _number(OLD_HUMIDITY_FIELD, fields.get(OLD_HUMIDITY_FIELD))
    return Reading(created_at, pm25, _entry_id(fields.get("entry_id")), optional)


def _json_object(value: bytes | None) -> dict[str, Any]:
    if value is None:
        raise RejectedMessageError("value is missing")
    try:
        decoded = json.loads(
            value.decode("utf-8"), parse_constant=_refuse_constant, parse_float=str, object_pairs_hook=_distinct
        )
    except UnicodeDecodeError:
        raise RejectedMessageError("value is not UTF-8") from None
    except RejectedMessageError:
        raise
    except (ValueError, RecursionError):
        raise RejectedMessageError("value is not JSON") from None
    if not isinstance(decoded, dict):
        raise RejectedMessageError("value is not a JSON object")
    return decoded


def _refuse_constant(name: str) -> NoReturn:
    raise RejectedMessageError(f"value is not JSON: it holds {name}")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields and name in KNOWN_FIELDS:
            raise RejectedMessageError(f"{name} comes twice")
        fields[name] = value
    return fields


def _time(value: Any) -> datetime:
    if value is None or value == "":
        raise RejectedMessageError("created_at is missing")
    if not isinstance(value, str) or _TIME.fullmatch(value) is None:
        raise RejectedMessageError('created_at is not of the form "2022-07-18 00:00:00 UTC"')
    try:
        return datetime.strptime(value, TIME_FORMAT)  # noqa: DTZ007 (naive UTC by convention)
    except ValueError:
        raise RejectedMessageError("created_at is no date") from None


def _number(field: str, value: Any) -> float | None:
    if value is None or value == "":
        return None
    # JSON numbers arrive as text, or as int where they have neither fraction nor exponent.
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or _NUMBER.fullmatch(text) is None:
        raise RejectedMessageError(f"{field} is not a number")
    number = float(text)
    if not math.isfinite(number):
        raise RejectedMessageError(f"{field} is too large")
    return number


def _entry_id(value: Any) -> int | None:
    if value is None or value == "":
        return None
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or _ENTRY_ID.fullmatch(text) is None:
        raise RejectedMessageError("entry_id is not a whole number")
    return int(text)
