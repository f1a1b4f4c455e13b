"""Values of messages: a good one, and the same with another field."""

import json

from aqi_dagster.message_fields import PM25_FIELD
from aqi_dagster.pipeline.decoding.definition import Reading, decode_value
from tests.support.messages import ALLOWANCE, NOW

TIME = "2022-07-18 06:00:00 UTC"

GOOD = {"created_at": TIME, PM25_FIELD: "12.50"}


def decode(value: bytes | None) -> Reading:
    """What a value holds by definition."""
    return decode_value(value, NOW, ALLOWANCE)


def with_field(name: str, text: str) -> bytes:
    """A good value in which field ``name`` has the JSON ``text``."""
    others = [f"{json.dumps(other)}: {json.dumps(given)}" for other, given in GOOD.items() if other != name]
    return ("{" + ", ".join([*others, f"{json.dumps(name)}: {text}"]) + "}").encode()
