"""What a message must look like to become a reading, and the reason that each other one is refused for."""

import gzip
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from aqi_dagster.message_fields import KNOWN_FIELDS, PM25_FIELD, FieldNames
from aqi_dagster.pipeline.decoding.definition import Reading, decode_value
from aqi_dagster.pipeline.decoding.reasons import RejectedMessageError
from tests.support.messages import ALLOWANCE, NOW, at

TIME = "2022-07-18 06:00:00 UTC"

GOOD = {"created_at": TIME, PM25_FIELD: "12.50"}

NOT_NUMBERS = [
    *[
        "abc",
        "true",
        "NaN",
        "nan",
        "inf",
        "-Infinity",
        "1_000",
        "0x1A",
        "-",
        "+",
        ".",
        "1,5",
        "1e",
        "--1",
        "+-1",
        "1.e",
    ],
    *["1.5.2", "\u0665", "\uff15", "\ud800", "5\u00a0", "5 6", "- 5", "5\x00", "5 ug/m3", ". 5"],
]

NEITHER_NUMBER_NOR_TEXT = ["true", "false", "[]", "{}", "[1.5]", '{"a": 1}']


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
        "PM2.5_CF1_B_ug/m3": "11.75",
        "sensor_index": "30001",
        "sensor_name": "Alder Creek",
        "location_type": 1,
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
            "pm25_cf1_b": 11.75,
        },
        30001,
        "Alder Creek",
        1,
    )


def test_only_time_and_pm25_are_required() -> None:
    reading = decode(json.dumps(GOOD).encode())
    assert (reading.created_at, reading.pm25_cf1, reading.entry_id) == (at("2022-07-18 06:00"), 12.5, None)
    assert set(reading.optional.values()) == {None}


@pytest.mark.parametrize("empty", ['""', "null", '" \\t\\n"'])
@pytest.mark.parametrize("name", sorted(KNOWN_FIELDS - GOOD.keys()))
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
        ('"+5"', 5.0),
        ('".5"', 0.5),
        ('"-.5e1"', -5.0),
        ('"5."', 5.0),
        ('" 5.25"', 5.25),
        ('"5.25\\t\\n"', 5.25),
        ("99999.123456789012345678901234567890", 99999.12345678901),
        ("100000", 100_000.0),
        ("-1e5", -100_000.0),
    ],
)
def test_a_number_may_come_as_json_number_or_as_text(text: str, number: float) -> None:
    assert decode(with_field(PM25_FIELD, text)).pm25_cf1 == number
    assert decode(with_field("RSSI_dbm", text)).optional["rssi"] == number
    assert decode(with_field("PM2.5_CF1_B_ug/m3", text)).optional["pm25_cf1_b"] == number


@pytest.mark.parametrize("text", ["7", '"7"', '"007"', '" 7 "', '"+7"', "7.0", '"7."'])
def test_an_entry_id_may_come_as_json_number_or_as_text(text: str) -> None:
    assert decode(with_field("entry_id", text)).entry_id == 7
    assert decode(with_field("sensor_index", text)).sensor_index == 7


def test_older_producers_humidity_counts_where_the_newer_field_is_missing() -> None:
    old = GOOD | {"Humidity": "40"}
    assert decode(json.dumps(old).encode()).optional["humidity"] == 40
    assert decode(json.dumps(old | {"Humidity_%": ""}).encode()).optional["humidity"] == 40
    assert decode(json.dumps(old | {"Humidity_%": "37"}).encode()).optional["humidity"] == 37


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


@pytest.mark.parametrize("name", list(GOOD))
@pytest.mark.parametrize("text", [None, '""', "null"])
def test_a_required_field_must_not_be_missing_or_empty(name: str, text: str | None) -> None:
    value = json.dumps({other: given for other, given in GOOD.items() if other != name}).encode()
    with pytest.raises(RejectedMessageError) as refused:
        decode(value if text is None else with_field(name, text))
    assert str(refused.value) == f"{name} is missing"


@pytest.mark.parametrize("text", [*NEITHER_NUMBER_NOR_TEXT, *(json.dumps(text) for text in NOT_NUMBERS)])
def test_a_pm25_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(RejectedMessageError) as refused:
        decode(with_field(PM25_FIELD, text))
    assert str(refused.value) == f"{PM25_FIELD} is not a number"


@pytest.mark.parametrize("text", ["100000.01", "-100001", '"1e6"', "1.7e308", json.dumps("9" * 300)])
def test_a_pm25_beyond_what_any_instrument_reports_is_refused(text: str) -> None:
    with pytest.raises(RejectedMessageError) as refused:
        decode(with_field(PM25_FIELD, text))
    assert str(refused.value) == f"{PM25_FIELD} is beyond what any instrument reports: 100,000 ug/m3 either way"


@pytest.mark.parametrize("text", ['"1e999"', "1e999", "-1e999", json.dumps("9" * 400), "9" * 10_000])
def test_a_pm25_beyond_a_double_is_refused(text: str) -> None:
    with pytest.raises(RejectedMessageError) as refused:
        decode(with_field(PM25_FIELD, text))
    assert str(refused.value) == f"{PM25_FIELD} is too large"


@pytest.mark.parametrize(
    "text", [*NEITHER_NUMBER_NOR_TEXT, *(json.dumps(text) for text in NOT_NUMBERS), "1e999", "9" * 10_000]
)
@pytest.mark.parametrize(
    "name", ["RSSI_dbm", "Humidity_%", "Humidity", "PM2.5_CF1_B_ug/m3", "entry_id", "location_type"]
)
def test_what_cannot_be_read_and_is_not_needed_empties_its_field_alone(name: str, text: str) -> None:
    assert decode(with_field(name, text)) == replace(decode(json.dumps(GOOD).encode()), emptied=(name,))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *[("entry_id", text) for text in ("1.5", "1e3", '"1_0"', json.dumps("9" * 19))],
        *[("location_type", text) for text in ("2", "-1", "0.5", '"outside"', "1e9")],
        *[("PM10.0_CF1_ug/m3", text) for text in ("100000.5", '"-1e300"')],
        *[
            ("sensor_name", json.dumps(text))
            for text in ("x" * 201, "a\x00b", "\x1b[31m", "\x7f", "\ud800", ["a"], True)
        ],
    ],
)
def test_so_does_what_the_field_cannot_be(name: str, text: str) -> None:
    assert decode(with_field(name, text)) == replace(decode(json.dumps(GOOD).encode()), emptied=(name,))


def test_every_field_that_was_emptied_is_noted() -> None:
    value = GOOD | {"RSSI_dbm": "nan", "Humidity_%": "nan", "Humidity": "40", "Temperature_F": "inf", "other": "nan"}
    reading = decode(json.dumps(value).encode())
    assert sorted(reading.emptied) == ["Humidity_%", "RSSI_dbm", "Temperature_F"]
    assert reading.optional["humidity"] == 40


@pytest.mark.parametrize("text", ["1.5", '"x"', "true", json.dumps("9" * 19), "[]", '"nan"', "1e3", '"30 001"'])
def test_a_sensor_index_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(RejectedMessageError, match=r"^sensor_index is not a whole number$"):
        decode(with_field("sensor_index", text))


def test_a_negative_sensor_index_is_refused() -> None:
    with pytest.raises(RejectedMessageError, match=r"^sensor_index is negative$"):
        decode(with_field("sensor_index", "-1"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('"Alder"', "Alder"),
        ('" Alder \\n Creek\\t"', "Alder Creek"),
        ('"S\u00e3o Paulo"', "S\u00e3o Paulo"),
        ("7", "7"),
    ],
)
def test_a_name_has_its_white_space_evened_out(text: str, name: str) -> None:
    assert decode(with_field("sensor_name", text)).sensor_name == name


@pytest.mark.parametrize(("text", "location"), [("0", 0), ("1", 1), ('"1"', 1), ("1.0", 1), ('" 0 "', 0)])
def test_a_sensor_is_outside_or_inside(text: str, location: int) -> None:
    assert decode(with_field("location_type", text)).location_type == location


@pytest.mark.parametrize(
    "text",
    [
        *["2022-07-18 06:00:00 UTC", "2022-07-18T06:00:00Z", "2022-07-18T06:00:00+00:00", "2022-07-18 06:00:00Z"],
        *[
            "2022-07-18 06:00:00+00:00",
            "2022-07-18T06:00:00.000Z",
            " 2022-07-18 06:00:00 UTC",
            "2022-07-18T06:00:00Z\n",
        ],
    ],
)
def test_a_time_in_utc_is_taken(text: str) -> None:
    assert decode(with_field("created_at", json.dumps(text))).created_at == at("2022-07-18 06:00")


@pytest.mark.parametrize(
    "text",
    [
        *["2022-07-18 06:00:00 utc", "2022-07-18t06:00:00Z", "2022-07-18 06:00:00  UTC", "2022-07-18  06:00:00 UTC"],
        *["2022-7-18 06:00:00 UTC", "18.07.2022 06:00:00 UTC", "2022/07/18T06:00:00z", "2022-07-18 06:00 UTC"],
        *["\u0662022-07-18 06:00:00 UTC", "yesterday", "2022-07-18", "2022-07-18T06:00:00.Z", "2022-07-18T06:00:00ZZ"],
        *[1658124000, True, ["2022-07-18 06:00:00 UTC"]],
    ],
)
def test_a_time_of_another_form_is_refused(text: Any) -> None:
    with pytest.raises(RejectedMessageError, match=r'^created_at is not of the form "2022-07-18 00:00:00 UTC"$'):
        decode(with_field("created_at", json.dumps(text)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *[(f"2022-07-18T06:00:00{zone}", "is not in UTC") for zone in ("+02:00", "-07:00", "-0700", "+02", " CET")],
        ("2022-07-18T06:00:00", "has no time zone: UTC, Z or +00:00 must follow"),
        ("2022-07-18 06:00:00.5", "has no time zone: UTC, Z or +00:00 must follow"),
        ("2022-07-18T06:00:00.250Z", "has fractions of a second"),
        ("2022-07-18 06:00:00.5 UTC", "has fractions of a second"),
    ],
)
def test_the_reason_says_what_a_time_lacks(text: str, reason: str) -> None:
    with pytest.raises(RejectedMessageError) as refused:
        decode(with_field("created_at", json.dumps(text)))
    assert str(refused.value) == f"created_at {reason}"


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


@pytest.mark.parametrize("name", sorted(KNOWN_FIELDS))
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


NAMES = FieldNames({"created_at": "time", PM25_FIELD: "pm25", "Humidity_%": "created_at"})


def test_a_topic_may_call_the_fields_otherwise() -> None:
    value = {"time": TIME, "pm25": "7", "created_at": "40", "RSSI_dbm": -60, PM25_FIELD: "unknown now"}
    reading = decode_value(json.dumps(value).encode(), NOW, ALLOWANCE, NAMES)
    assert (reading.created_at, reading.pm25_cf1) == (at("2022-07-18 06:00"), 7)
    assert (reading.optional["humidity"], reading.optional["rssi"], reading.emptied) == (40, -60, ())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ('{"pm25": 1}', "time is missing"),
        (f'{{"time": "{TIME}", "pm25": "x"}}', "pm25 is not a number"),
        (f'{{"time": "{TIME}", "pm25": 1, "pm25": 2}}', "pm25 comes twice"),
    ],
)
def test_reasons_have_the_names_of_the_topic(value: str, reason: str) -> None:
    with pytest.raises(RejectedMessageError) as refused:
        decode_value(value.encode(), NOW, ALLOWANCE, NAMES)
    assert str(refused.value) == reason
