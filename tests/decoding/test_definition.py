"""What a message must look like to become a reading, and the reason that each other one is refused for."""

import json

import pytest

from aqi_dagster.message_fields import KNOWN_FIELDS, PM25_FIELD, FieldNames
from aqi_dagster.pipeline.decoding.definition import Reading, decode_value
from aqi_dagster.pipeline.decoding.reasons import RejectedMessageError
from tests.support.message_values import GOOD, TIME, decode, with_field
from tests.support.messages import ALLOWANCE, NOW, at


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


@pytest.mark.parametrize("name", list(GOOD))
@pytest.mark.parametrize("text", [None, '""', "null"])
def test_a_required_field_must_not_be_missing_or_empty(name: str, text: str | None) -> None:
    value = json.dumps({other: given for other, given in GOOD.items() if other != name}).encode()
    with pytest.raises(RejectedMessageError) as refused:
        decode(value if text is None else with_field(name, text))
    assert str(refused.value) == f"{name} is missing"


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
