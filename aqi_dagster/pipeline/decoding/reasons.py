"""Why a message is no reading, in words that help whoever runs its producer.

A reason names the kind of fault and never the message's own text: ``rejected_messages`` is counted by it.
"""

import json
import re
from datetime import datetime
from typing import Any

from aqi_dagster.sensors import even_spelling

_TWO_NUMBERS = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*,\s*(-?\d+(?:\.\d+)?)\s*", re.ASCII)

_QUOTED = re.compile(r"\s*([\"'])(.*)\1\s*", re.DOTALL)

_BEGINNINGS = {
    b"\x00{": "is UTF-16, not UTF-8",
    b"{\x00": "is UTF-16, not UTF-8",
    b"\xff\xfe": "is UTF-16, not UTF-8",
    b"\xfe\xff": "is UTF-16, not UTF-8",
    b"\x00": "is framed by a schema registry: magic byte 0",
    b"\xef\xbb\xbf": "begins with a byte order mark",
    b"\x1f\x8b": "is compressed: gzip",
    b"\x28\xb5\x2f\xfd": "is compressed: Zstandard",
}
"""First bytes of what is no JSON text in UTF-8; the first that fits counts."""


class RejectedMessageError(ValueError):
    """The message is not a reading; the text is the reason that ``rejected_messages`` records."""


class FutureMessageError(RejectedMessageError):
    """The message is not a reading yet: by our clock it was measured in the future, at ``created_at``."""

    def __init__(self, reason: str, created_at: datetime) -> None:
        super().__init__(reason)
        self.created_at = created_at


def unreadable_key(key: bytes) -> RejectedMessageError:
    """Why ``key`` is neither a place nor JSON."""
    found = _beginning(key)
    if found is not None:
        return RejectedMessageError(f"key {found}")
    if not key.strip():
        return RejectedMessageError("key is empty")
    try:
        return no_place(key.decode("utf-8"))
    except UnicodeDecodeError:
        return RejectedMessageError("key is not UTF-8")


def no_place(decoded: Any) -> RejectedMessageError:
    """Why ``decoded``, what a key says, is no place."""
    if isinstance(decoded, str):
        quoted = _QUOTED.fullmatch(decoded)
        if quoted and even_spelling(quoted[2]) is not None:
            return RejectedMessageError("the key has quotes of its own")
        numbers = _TWO_NUMBERS.fullmatch(decoded)
        if numbers and even_spelling(f"{numbers[2]}, {numbers[1]}") is not None:
            return RejectedMessageError("key is no place on Earth: the latitude comes first, and is within 90 degrees")
        if numbers:
            return RejectedMessageError("key is no place on Earth")
    return RejectedMessageError('key is not the text "latitude, longitude"')


def unreadable_value(value: bytes) -> RejectedMessageError:
    """Why ``value`` is not JSON."""
    found = _beginning(value)
    if found is not None:
        return RejectedMessageError(f"value {found}")
    if not value.strip():
        return RejectedMessageError("value is empty")
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return RejectedMessageError("value is not UTF-8")
    if re.match(rb"\s*{\s*'", value):
        return RejectedMessageError("value is not JSON: its quotes are single ones")
    return RejectedMessageError("value is not JSON")


def no_object(decoded: Any) -> RejectedMessageError:
    """Why ``decoded``, JSON that is no object, is no value."""
    if isinstance(decoded, str):
        try:
            twice = isinstance(json.loads(decoded), dict)
        except (ValueError, RecursionError):
            twice = False
        if twice:
            return RejectedMessageError("value is JSON in a JSON text: it was encoded twice")
    if isinstance(decoded, list):
        return RejectedMessageError("value is not a JSON object but an array: send one message for each reading")
    return RejectedMessageError("value is not a JSON object")


def no_time(field: str, match: re.Match[str] | None) -> RejectedMessageError:
    """Why a text is no time in UTC; ``match`` has its date, time, fraction and time zone if it is of ISO's form."""
    if match is None:
        return RejectedMessageError(f'{field} is not of the form "2022-07-18 00:00:00 UTC"')
    zone = match[4].strip()
    if not zone:
        return RejectedMessageError(f"{field} has no time zone: UTC, Z or +00:00 must follow")
    if re.fullmatch(r"[+-]\d{2}(:?\d{2})?|[A-Z]{3,5}", zone) and zone != "UTC":
        return RejectedMessageError(f"{field} is not in UTC")
    if match[3] and match[3].strip(".0"):
        return RejectedMessageError(f"{field} has fractions of a second")
    return RejectedMessageError(f'{field} is not of the form "2022-07-18 00:00:00 UTC"')


def _beginning(data: bytes) -> str | None:
    return next((meaning for first, meaning in _BEGINNINGS.items() if data.startswith(first)), None)
