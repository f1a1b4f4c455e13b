"""Messages as they travel."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

MOST_BYTES = 500_000
"""Longest message that is sent; a reading has some hundred bytes, and Kafka takes a million at most by default."""


class Message(NamedTuple):
    """One reading as it travels: ``key`` is the JSON text of "lat, long" with its quotes, ``value`` a JSON object."""

    key: bytes
    value: bytes


def encode_message(place: str, value: Mapping[str, Any]) -> Message:
    """The message of a sensor at ``place`` ("lat, long"), as compact JSON in UTF-8."""
    return Message(_to_json(place).encode(), _to_json(value).encode())
