"""Which place a message's key names, and the reason that each other key is refused for."""

import json

import pytest

from aqi_dagster.pipeline.decoding.definition import MOST_KEY_BYTES, decode_key
from aqi_dagster.pipeline.decoding.reasons import RejectedMessageError

NOT_PLACES = [
    *[b'""', b"45.5", b"null", b"[45.5, -122.6]", b'{"a": 1}', b"NaN", b'"here"', b'"45.5"', b'"45.5 -122.6"', b"here"],
    *[b'"45.5, -122.6, 3"', b'"45.5\\u00a0, -122.6"', b'"45. 5, -122.6"', b'"45.5, -122.6 #1"', b'"+45.5, 1"'],
    *[b'"1e1, 0"', b'"nan, 0"', b'"45., 0"', b'"\\ud800, 0"', '"\u0664\u0665, 0"'.encode(), b'"45.5, -122.6'],
]


SWAPPED = "key is no place on Earth: the latitude comes first, and is within 90 degrees"


def reason(key: bytes | None) -> str:
    with pytest.raises(RejectedMessageError) as refused:
        decode_key(key)
    return str(refused.value)


@pytest.mark.parametrize("text", ["45.5, -122.6", "0, 0", "-90, 180", "045, 1.0000000", "45.50, -122.60"])
def test_the_place_is_the_text_of_the_key_with_its_digits(text: str) -> None:
    assert decode_key(json.dumps(text).encode()) == text
    assert decode_key(b" " + json.dumps(text).encode() + b"\n") == text


@pytest.mark.parametrize(
    "text",
    ["45.5,-122.6", "45.5 ,  -122.6", " 45.5, -122.6", "45.5, -122.6\n", "45.5,\n-122.6", "\t45.5\r\n,-122.6\v\f"],
)
def test_white_space_makes_no_other_place(text: str) -> None:
    assert decode_key(json.dumps(text).encode()) == "45.5, -122.6"
    assert decode_key(text.encode()) == "45.5, -122.6"


def test_the_quotes_of_json_may_be_missing() -> None:
    assert decode_key(b"38.9, -120.10") == "38.9, -120.10"


@pytest.mark.parametrize("key", NOT_PLACES)
def test_a_key_that_names_no_place_is_refused(key: bytes) -> None:
    assert reason(key) == 'key is not the text "latitude, longitude"'


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (None, "key is missing"),
        (b"", "key is empty"),
        (b" \n", "key is empty"),
        (b'"45.5, \xff"', "key is not UTF-8"),
        (b'\xef\xbb\xbf"45.5, -122.6"', "key begins with a byte order mark"),
        (b'\x00\x00\x00\x00\x07"45.5, -122.6"', "key is framed by a schema registry: magic byte 0"),
        (b'"\\"45.5, -122.6\\""', "the key has quotes of its own"),
        (b"'45.5, -122.6'", "the key has quotes of its own"),
        (b'"-122.6, 45.5"', SWAPPED),
        (b"-122.6, 45.5", SWAPPED),
        (b'"90.001, 0"', SWAPPED),
        (b'"0, -180.5"', "key is no place on Earth"),
        (b'"1000, 1000"', "key is no place on Earth"),
    ],
)
def test_the_reason_says_what_the_producer_did(key: bytes | None, expected: str) -> None:
    assert reason(key) == expected


def test_a_key_longer_than_any_place_is_refused_unread() -> None:
    digits = "5" * (MOST_KEY_BYTES - len('"45., 1"'))
    assert decode_key(f'"45.{digits}, 1"'.encode()) == f"45.{digits}, 1"
    for key in (f'"45.{digits}5, 1"'.encode(), b"[" * 200_000, b"\xff" * 1_000_000):
        assert reason(key) == "key is longer than any place: more than 256 bytes"
