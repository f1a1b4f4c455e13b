"""Which numbers a message may hold, and what becomes of what is none."""

import json
from dataclasses import replace

import pytest

from aqi_dagster.message_fields import PM25_FIELD
from aqi_dagster.pipeline.decoding.reasons import RejectedMessageError
from tests.support.message_values import GOOD, decode, with_field

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
