"""What becomes of a batch: whose readings they are, what was left out of them, and what the decoder keeps in memory."""

import json
from collections import Counter
from datetime import datetime
from typing import Any

import pytest

from aqi_dagster.message_fields import PM25_FIELD, FieldNames
from aqi_dagster.pipeline.decoding import decode as decoding
from aqi_dagster.pipeline.decoding.decode import Decoded, decode
from tests.support.messages import ALLOWANCE, NOW, RawMessage, at, chunk, message

HERE = "45.5, -122.6"
WHEN = at("2022-07-18 06:00")


def decoded(*messages: RawMessage) -> Decoded:
    return decode(chunk(messages), NOW, ALLOWANCE)


def column(found: Decoded, name: str) -> list[Any]:
    values: list[Any] = found.readings[name].to_pylist()
    return values


def test_the_sensor_is_the_place_and_the_index() -> None:
    found = decoded(
        message(HERE, WHEN, 1),
        message("45.5,-122.6", WHEN, 2, sensor_index=7),
        message("45.50, -122.6", WHEN, 3, sensor_index="7"),
        message(HERE, WHEN, 4, sensor_index=30001, sensor_name="Alder", location_type=1),
        message("45.5,\n-122.6", WHEN, 5, sensor_index="", sensor_name=" Birch\u00e9 ", location_type="0"),
        message(HERE, WHEN, 6, sensor_index=7.0, sensor_name="\u0041lder"),
    )
    assert column(found, "pm25_cf1") == [1, 2, 3, 4, 5, 6]
    assert column(found, "sensor") == [HERE, f"{HERE} #7", "45.50, -122.6 #7", f"{HERE} #30001", HERE, f"{HERE} #7"]
    assert column(found, "sensor_index") == [None, 7, 7, 30001, None, 7]
    assert column(found, "sensor_name") == [None, None, None, "Alder", "Birch\u00e9", "Alder"]
    assert column(found, "location_type") == [None, None, None, 1, 0, None]


def test_the_second_laser_has_a_column_of_its_own() -> None:
    found = decoded(message(HERE, WHEN, 1, **{"PM2.5_CF1_B_ug/m3": "1.25"}), message(HERE, WHEN, 2))
    assert column(found, "pm25_cf1_b") == [1.25, None]


def test_fields_that_were_emptied_are_counted_in_readings_alone() -> None:
    found = decoded(
        message(HERE, WHEN, 1, Temperature_F="nan", RSSI_dbm="nan"),
        message(HERE, WHEN, 2, Temperature_F="warm"),
        message(HERE, WHEN, 3, Temperature_F="70"),
        message("nowhere", WHEN, 4, Temperature_F="nan"),
        message(HERE, WHEN, 200_000, Temperature_F="nan"),
    )
    assert found.emptied == Counter(Temperature_F=2, RSSI_dbm=1)
    assert column(found, "temperature") == [70, None, None]
    assert found.rejected["reason"].to_pylist() == [
        'key is not the text "latitude, longitude"',
        f"{PM25_FIELD} is beyond what any instrument reports: 100,000 ug/m3 either way",
    ]


def test_a_topic_may_call_the_fields_otherwise() -> None:
    names = FieldNames({"created_at": "at", PM25_FIELD: "pm", "sensor_index": "number"})
    values: list[dict[str, Any]] = [
        {"at": "2022-07-18T06:00:00Z", "pm": 5, "number": 7, "sensor_index": "nobody's"},
        {"at": "2022-07-18T06:00:00Z", "pm": "5", "number": "+7"},
        {"created_at": "2022-07-18 06:00:00 UTC", PM25_FIELD: 5},
    ]
    found = decode(chunk([(b"45.5,-122.6", json.dumps(value).encode()) for value in values]), NOW, ALLOWANCE, names)
    assert column(found, "sensor") == [f"{HERE} #7"] * 2
    assert found.rejected["reason"].to_pylist() == ["at is missing"]


@pytest.mark.parametrize("size", [300, 1_000_000])
def test_keys_that_are_too_long_are_rejected_and_not_kept(size: int) -> None:
    decoding._place_of_short_key.cache_clear()
    keys = [json.dumps(f"45.{number:0{size}}, -122").encode() for number in range(20)]
    _, value = message(HERE, WHEN, 5)
    found = decoded(*((key, value) for key in keys), message(HERE, WHEN, 5))
    assert found.rejected["key"].to_pylist() == keys
    assert len(found.readings) == 1
    assert decoding._place_of_short_key.cache_info().currsize == 1


def test_the_keys_that_are_kept_have_a_bound_in_bytes() -> None:
    most = decoding._place_of_short_key.cache_info().maxsize
    assert most is not None
    # A key, its place, and what Python needs for both.
    assert most * (2 * decoding.MOST_KEY_BYTES + 400) < 64 << 20


def test_an_empty_batch_has_all_columns() -> None:
    found = decoded()
    assert found.readings.num_rows == found.rejected.num_rows == 0
    assert found.readings.schema == decoded(message(HERE, datetime(2022, 7, 18), 1)).readings.schema  # noqa: DTZ001
