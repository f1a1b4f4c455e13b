"""What a message must look like to become a reading, and the reason that each other one is refused for."""

import json
from datetime import timedelta
from typing import Any

import pytest

from aqi_dagster.pipeline.decoding.definition import PM25_FIELD, Reading, RejectedMessageError, decode_key, decode_value
from tests.support.messages import ALLOWANCE, NOW, at

TIME = "2022-07-18 06:00:00 UTC"

GOOD = {"created_at": TIME, PM25_FIELD: "12.50"}

NOT_NUMBERS = [
    *["abc", "true", "NaN", "nan", "inf", "Infinity", "1_000", "0x1A", "+5", "-", "1,5", "1.", ".5", "1e", "--1"],
    *["1.5.2", "\u0665", "\uff15", "\ud800"],
    *[" 5", "5 ", "5\n", " ", "5\x00", "5 ug/m3"],
]

NOT_PLACES = [
    *[b'""', b"45.5", b"null", b"[45.5, -122.6]", b'{"a": 1}', b"NaN", b'"here"', b'"45.5"', b'"45.5 -122.6"'],
    *[
        b'"45.5, -122.6, 3"',
        b'"45.5\\u00a0, -122.6"',
        b'"45. 5, -122.6"',
        b'"45.5, -122.6 #1"',
        b'"+45.5, 1"',
        b'"90.001, 0"',
        b'"0, -180.5"',
    ],
    *[b'"1e1, 0"', b'"nan, 0"', b'"45., 0"', b'"\\ud800, 0"', '"\u0664\u0665, 0"'.encode()],
]


def decode(value: bytes | None) -> Reading:
    return decode_value(value, NOW, ALLOWANCE)


def with_field(name: str, text: str) -> bytes:
    """A good value in which field ``name`` has the JSON ``text``."""
    others = [f"{json.dumps(other)}: {json.dumps(given)}" for other, given in GOOD.items() if other != name]
    return ("{" + ", ".join([*others, f"{json.dumps(name)}: {text}"]) + "}").encode()


def test_a_full_message_becomes_a_reading() -> None:
    value = {
        "created_at": TIME,
        "entry_id": "42",
        "PM1.0_CF1_ug/m3": "1.10",
        PM25_FIELD: "12.50",
        "PM10.0_CF1_ug/m3": "33.30",
        "UptimeMinutes": "552",
        "RSSI_dbm": "-70.00",
        "Temperature_F": "80.5",
        "Humidity_%": "37",
        "PM2.5_ATM_ug/m3": "2.20",
        "firmware": {"version": [7, None]},
    }
    assert decode(json.dumps(value).encode()) == Reading(
        at("2022-07-18 06:00"),
        12.5,
        42,
        {
            "pm1_cf1": 1.1,
            "pm10_cf1": 33.3,
            "pm25_atm": 2.2,
            "temperature": 80.5,
            "humidity": 37.0,
            "rssi": -70.0,
            "uptime": 552.0,
        },
    )


def test_only_time_and_pm25_are_required() -> None:
    reading = decode(json.dumps(GOOD).encode())
    assert (reading.created_at, reading.pm25_cf1, reading.entry_id) == (at("2022-07-18 06:00"), 12.5, None)
    assert set(reading.optional.values()) == {None}


@pytest.mark.parametrize("empty", ['""', "null"])
@pytest.mark.parametrize("name", ["entry_id", "Temperature_F", "Humidity_%", "Humidity"])
def test_an_empty_field_is_missing(name: str, empty: str) -> None:
    assert decode(with_field(name, empty)) == decode(json.dumps(GOOD).encode())


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12.0),
        ("12.50", 12.5),
        ("1.25e1", 12.5),
        ("-0.5", -0.5),
        ('"1e2"', 100.0),
        ('"1.5E+2"', 150.0),
        ('"007"', 7.0),
        ('"0.1"', 0.1),
        ("0.1", 0.1),
        ("123456789012345678901234567890", 123456789012345678901234567890.0),
    ],
)
def test_a_number_may_come_as_json_number_or_as_text(text: str, number: float) -> None:
    assert decode(with_field(PM25_FIELD, text)).pm25_cf1 == number
    assert decode(with_field("RSSI_dbm", text)).optional["rssi"] == number


@pytest.mark.parametrize("text", ["7", '"7"', '"007"'])
def test_an_entry_id_may_come_as_json_number_or_as_text(text: str) -> None:
    assert decode(with_field("entry_id", text)).entry_id == 7


def test_older_producers_humidity_counts_where_the_newer_field_is_missing() -> None:
    old = GOOD | {"Humidity": "40"}
    assert decode(json.dumps(old).encode()).optional["humidity"] == 40
    assert decode(json.dumps(old | {"Humidity_%": ""}).encode()).optional["humidity"] == 40
    assert decode(json.dumps(old | {"Humidity_%": "37"}).encode()).optional["humidity"] == 37


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"not json",
        json.dumps(GOOD).encode()[:-1],
        json.dumps(GOOD).replace("}", ",}").encode(),
        json.dumps(GOOD).replace('"', "'").encode(),
        json.dumps(GOOD).encode() + b"{}",
        json.dumps(GOOD).replace("UTC", "UTC\n").encode(),
        b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),
        with_field("RSSI_dbm", "01"),
        with_field("RSSI_dbm", "+1"),
        with_field("RSSI_dbm", "0x1A"),
        with_field("RSSI_dbm", "1."),
        b'{"a":' * 200_000,
        b"[" * 200_000 + b"]" * 200_000,
        with_field("RSSI_dbm", "9" * 10_000),
    ],
)
def test_what_is_not_json_is_refused(value: bytes) -> None:
    with pytest.raises(RejectedMessageError, match=r"^value is not JSON$"):
        decode(value)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("name", [PM25_FIELD, "RSSI_dbm", "unknown"])
def test_constants_that_json_does_not_know_are_refused(name: str, constant: str) -> None:
    with pytest.raises(RejectedMessageError, match=rf"^value is not JSON: it holds {constant}$"):
        decode(with_field(name, constant))


@pytest.mark.parametrize("value", [b"[]", b'"text"', b"5", b"null", b"true", json.dumps([GOOD]).encode()])
def test_what_is_no_object_is_refused(value: bytes) -> None:
    with pytest.raises(RejectedMessageError, match=r"^value is not a JSON object$"):
        decode(value)


@pytest.mark.parametrize("spoilt", [b"\xff", b"\xc3", b"\xed\xa0\x80"])
def test_what_is_not_utf8_is_refused(spoilt: bytes) -> None:
    with pytest.raises(RejectedMessageError, match=r"^value is not UTF-8$"):
        decode(with_field("unknown", '"?"').replace(b"?", spoilt))


def test_a_tombstone_is_refused() -> None:
    with pytest.raises(RejectedMessageError, match=r"^value is missing$"):
        decode(None)


@pytest.mark.parametrize("name", list(GOOD))
@pytest.mark.parametrize("text", [None, '""', "null"])
def test_a_required_field_must_not_be_missing_or_empty(name: str, text: str | None) -> None:
    value = json.dumps({other: given for other, given in GOOD.items() if other != name}).encode()
    with pytest.raises(RejectedMessageError) as refused:
        decode(value if text is None else with_field(name, text))
    assert str(refused.value) == f"{name} is missing"


@pytest.mark.parametrize(
    "text",
    ["true", "false", "[]", "{}", "[1.5]", '{"a": 1}', *(json.dumps(text) for text in NOT_NUMBERS)],
)
@pytest.mark.parametrize("name", [PM25_FIELD, "RSSI_dbm", "Humidity_%", "Humidity"])
def test_what_is_no_number_is_refused(name: str, text: str) -> None:
    with pytest.raises(RejectedMessageError) as refused:
        decode(with_field(name, text))
    assert str(refused.value) == f"{name} is not a number"


@pytest.mark.parametrize("text", ['"1e999"', "1e999", "-1e999", json.dumps("9" * 400)])
@pytest.mark.parametrize("name", [PM25_FIELD, "RSSI_dbm"])
def test_a_number_beyond_a_double_is_refused(name: str, text: str) -> None:
    with pytest.raises(RejectedMessageError) as refused:
        decode(with_field(name, text))
    assert str(refused.value) == f"{name} is too large"


@pytest.mark.parametrize(
    "text", ["1.5", "1.0", "1e3", '"1.0"', '"x"', "true", '"1_0"', '" 1"', "[]", json.dumps("9" * 19)]
)
def test_an_entry_id_that_is_no_whole_number_of_64_bits_is_refused(text: str) -> None:
    with pytest.raises(RejectedMessageError, match=r"^entry_id is not a whole number$"):
        decode(with_field("entry_id", text))


@pytest.mark.parametrize(
    "text",
    [
        *["2022-07-18T06:00:00 UTC", "2022-07-18 06:00:00", "2022-07-18 06:00:00 utc", "2022-07-18 06:00:00Z"],
        *["2022-07-18 06:00:00 CET", "2022-07-18 06:00:00.5 UTC", "2022-7-18 06:00:00 UTC", "18.07.2022 06:00:00 UTC"],
        *[" 2022-07-18 06:00:00 UTC", "2022-07-18 06:00:00 UTC\n", "\u0662022-07-18 06:00:00 UTC", "yesterday"],
        *[1658124000, True, ["2022-07-18 06:00:00 UTC"]],
    ],
)
def test_a_time_of_another_form_is_refused(text: Any) -> None:
    with pytest.raises(RejectedMessageError, match=r'^created_at is not of the form "2022-07-18 00:00:00 UTC"$'):
        decode(with_field("created_at", json.dumps(text)))


@pytest.mark.parametrize(
    "text",
    ["2022-02-30 00:00:00", "2022-13-01 00:00:00", "2022-07-18 24:00:00", "2022-07-18 00:60:00", "0000-01-01 00:00:00"],
)
def test_an_impossible_time_is_refused(text: str) -> None:
    with pytest.raises(RejectedMessageError, match=r"^created_at is no date$"):
        decode(with_field("created_at", json.dumps(f"{text} UTC")))


def test_a_time_further_ahead_than_allowed_is_refused() -> None:
    def ahead(by: timedelta) -> bytes:
        return with_field("created_at", json.dumps(f"{NOW + by} UTC"))

    assert decode(ahead(ALLOWANCE)).created_at == NOW + ALLOWANCE
    with pytest.raises(RejectedMessageError, match=r"^created_at is in the future$"):
        decode(ahead(ALLOWANCE + timedelta(seconds=1)))


@pytest.mark.parametrize("name", ["created_at", PM25_FIELD, "RSSI_dbm", "entry_id", "Humidity"])
def test_a_known_field_that_comes_twice_is_refused(name: str) -> None:
    value = (
        json.dumps(GOOD | {name: GOOD.get(name, "1")})[:-1]
        + f", {json.dumps(name)}: {json.dumps(GOOD.get(name, '1'))}}}"
    )
    with pytest.raises(RejectedMessageError) as refused:
        decode(value.encode())
    assert str(refused.value) == f"{name} comes twice"


def test_an_unknown_field_may_come_twice() -> None:
    assert decode(with_field("x", '1, "x": 2')) == decode(json.dumps(GOOD).encode())


@pytest.mark.parametrize("text", ["45.5, -122.6", "0, 0", "-90, 180", "045, 1.0000000", "45.50, -122.60"])
def test_the_sensor_is_the_text_of_the_key_with_its_digits(text: str) -> None:
    assert decode_key(json.dumps(text).encode()) == text
    assert decode_key(b" " + json.dumps(text).encode() + b"\n") == text


@pytest.mark.parametrize(
    "text",
    ["45.5,-122.6", "45.5 ,  -122.6", " 45.5, -122.6", "45.5, -122.6\n", "45.5,\n-122.6", "\t45.5\r\n,-122.6\v\f"],
)
def test_white_space_makes_no_other_sensor(text: str) -> None:
    assert decode_key(json.dumps(text).encode()) == "45.5, -122.6"


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (None, "key is missing"),
        (b'"45.5, \xff"', "key is not UTF-8"),
        (b"", "key is not JSON"),
        (b"45.5, -122.6", "key is not JSON"),
        (b'"45.5, -122.6', "key is not JSON"),
        (b"[" * 200_000, "key is not JSON"),
        *((key, 'key is not the text "latitude, longitude"') for key in NOT_PLACES),
    ],
)
def test_a_key_that_names_no_place_is_refused(key: bytes | None, reason: str) -> None:
    with pytest.raises(RejectedMessageError) as refused:
        decode_key(key)
    assert str(refused.value) == reason
