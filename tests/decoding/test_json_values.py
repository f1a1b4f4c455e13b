"""Which bytes are a value at all, and the reason that all others are refused for."""

import gzip
import json

import pytest

from aqi_dagster.message_fields import PM25_FIELD
from aqi_dagster.pipeline.decoding.reasons import RejectedMessageError
from tests.support.message_values import GOOD, decode, with_field


@pytest.mark.parametrize(
    "value",
    [
        b"not json",
        json.dumps(GOOD).encode()[:-1],
        json.dumps(GOOD).replace("}", ",}").encode(),
        json.dumps(GOOD).encode() + b"{}",
        json.dumps(GOOD).replace("UTC", "UTC\n").encode(),
        with_field("RSSI_dbm", "01"),
        with_field("RSSI_dbm", "+1"),
        with_field("RSSI_dbm", "0x1A"),
        with_field("RSSI_dbm", "1."),
        b'{"a":' * 200_000,
        b"[" * 200_000 + b"]" * 200_000,
    ],
)
def test_what_is_not_json_is_refused(value: bytes) -> None:
    with pytest.raises(RejectedMessageError, match=r"^value is not JSON$"):
        decode(value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "value is missing"),
        (b"", "value is empty"),
        (b"\n ", "value is empty"),
        (b"\x00\x00\x00\x00\x07" + json.dumps(GOOD).encode(), "value is framed by a schema registry: magic byte 0"),
        (b"\x00\x00\x00\x00\x07\xff\x80", "value is framed by a schema registry: magic byte 0"),
        (b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), "value begins with a byte order mark"),
        (json.dumps(GOOD).encode("utf-16-le"), "value is UTF-16, not UTF-8"),
        (json.dumps(GOOD).encode("utf-16-be"), "value is UTF-16, not UTF-8"),
        (json.dumps(GOOD).encode("utf-16"), "value is UTF-16, not UTF-8"),
        (gzip.compress(json.dumps(GOOD).encode(), mtime=0), "value is compressed: gzip"),
        (repr(GOOD).encode(), "value is not JSON: its quotes are single ones"),
        (json.dumps(json.dumps(GOOD)).encode(), "value is JSON in a JSON text: it was encoded twice"),
        (json.dumps([GOOD]).encode(), "value is not a JSON object but an array: send one message for each reading"),
    ],
)
def test_the_reason_says_what_the_producer_did(value: bytes | None, reason: str) -> None:
    with pytest.raises(RejectedMessageError) as refused:
        decode(value)
    assert str(refused.value) == reason


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("name", [PM25_FIELD, "RSSI_dbm", "unknown"])
def test_constants_that_json_does_not_know_are_refused(name: str, constant: str) -> None:
    with pytest.raises(RejectedMessageError, match=rf"^value is not JSON: it holds {constant}$"):
        decode(with_field(name, constant))


@pytest.mark.parametrize("value", [b'"text"', b"5", b"null", b"true", b'"[1]"'])
def test_what_is_no_object_is_refused(value: bytes) -> None:
    with pytest.raises(RejectedMessageError, match=r"^value is not a JSON object$"):
        decode(value)


@pytest.mark.parametrize("spoilt", [b"\xff", b"\xc3", b"\xed\xa0\x80"])
def test_what_is_not_utf8_is_refused(spoilt: bytes) -> None:
    with pytest.raises(RejectedMessageError, match=r"^value is not UTF-8$"):
        decode(with_field("unknown", '"?"').replace(b"?", spoilt))
