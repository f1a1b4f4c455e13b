"""Saved JSON: of PurpleAir's API, and of a sensor itself."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.sensor_files import column, read, sensor_list, summary_of, write

LOCAL = {
    "SensorId": "0:0:0:0:0:1",
    "DateTime": "2022/07/18T06:00:00z",
    "Geo": "PurpleAir-0001",
    "lat": 45.5,
    "lon": -122.60,
    "place": "inside",
    "uptime": 1000,
    "rssi": -60,
    "current_temp_f": 75,
    "current_humidity": 40,
    "pm1_0_cf_1": 9.5,
    "pm2_5_cf_1": 12.0,
    "pm2_5_atm": 11.5,
    "pm2_5_cf_1_b": 12.4,
    "pm2_5_atm_b": 11.9,
}
FIELDS = [
    "sensor_index",
    "last_seen",
    "name",
    "location_type",
    "latitude",
    "longitude",
    "uptime",
    "pm2.5_cf_1_a",
    "pm2.5_cf_1_b",
]
ROWS: list[list[Any]] = [
    [30001, 1658124000, "Alder", 0, 45.5, -122.6, 7, 5.5, 5.7],
    [30002, 1658120400, "Birch", 1, 45.50, -122.6, 8, 6.5, None],
]
SENSORS = {
    "api_version": "V1.0.11",
    "time_stamp": 1658127600,
    "data_time_stamp": 1658127590,
    "fields": FIELDS,
    "data": ROWS,
}
HISTORY = {
    "api_version": "V1.0.11",
    "time_stamp": 1658127600,
    "sensor_index": 30001,
    "fields": ["time_stamp", "pm2.5_cf_1_a", "pm2.5_cf_1_b"],
    "data": [[1658124120, 6, 6.5], [1658124000, 5, None], [1658124240, None, 7]],
}
ONE = {
    "api_version": "V1.0.11",
    "time_stamp": 1658127600,
    "sensor": dict(zip(FIELDS, ROWS[0], strict=True)) | {"stats": {"pm2.5": 9}},
}


def save(path: Path, *documents: Any) -> Path:
    return write(path, "\n".join(json.dumps(document) for document in documents))


def test_what_a_sensor_says_becomes_a_message(tmp_path: Path) -> None:
    text = json.dumps(LOCAL).replace("-122.6,", "-122.60,")
    ((key, value),) = read(write(tmp_path / "alder.json", text))
    assert key == "45.5, -122.60"
    assert value == {
        "created_at": "2022-07-18 06:00:00 UTC",
        "PM1.0_CF1_ug/m3": "9.5",
        "PM2.5_CF1_ug/m3": "12.0",
        "PM2.5_CF1_B_ug/m3": "12.4",
        "PM2.5_ATM_ug/m3": "11.5",
        "Temperature_F": "75",
        "Humidity_%": "40",
        "RSSI_dbm": "-60",
        "UptimeMinutes": "16.67",
        "sensor_name": "PurpleAir-0001",
        "location_type": "1",
    }


def test_the_list_knows_better_where_a_sensor_is(tmp_path: Path) -> None:
    header = "index,latitude,longitude,name,mac_address"
    sensors = sensor_list(tmp_path / "sensors.csv", ["30001,45.5001,-122.6001,Alder,00:00:00:00:00:01"], header)
    ((key, value),) = read(save(tmp_path / "alder.json", LOCAL), sensors=[sensors])
    assert key == "45.5001, -122.6001"
    assert (value["sensor_index"], value["sensor_name"], "location_type" in value) == ("30001", "Alder", False)


@pytest.mark.parametrize("joined", ["\n".join, "".join, lambda texts: "[" + ",".join(texts) + "]"])
def test_a_file_may_hold_many_documents(tmp_path: Path, joined: Any) -> None:
    documents = [
        LOCAL | {"DateTime": f"2022/07/18T06:0{minute}:00z", "pm2_5_cf_1": 20 + minute} for minute in (4, 0, 2)
    ]
    path = write(tmp_path / "polled.json.gz", joined([json.dumps(document, indent=2) for document in documents]))
    assert column(read(path), "PM2.5_CF1_ug/m3") == ["20", "22", "24"]


def test_all_sensors_of_the_api_have_the_time_when_they_were_last_seen(tmp_path: Path) -> None:
    (first_key, first), (second_key, second) = read(save(tmp_path / "sensors.json", SENSORS))
    assert (first_key, second_key) == ("45.5, -122.6", "45.5, -122.6")
    assert first == {
        "created_at": "2022-07-18 05:00:00 UTC",
        "PM2.5_CF1_ug/m3": "6.5",
        "UptimeMinutes": "8",
        "sensor_index": "30002",
        "sensor_name": "Birch",
        "location_type": "1",
    }
    assert (second["created_at"], second["PM2.5_CF1_B_ug/m3"]) == ("2022-07-18 06:00:00 UTC", "5.7")


def test_an_offline_sensors_row_is_one_reading_however_often_it_is_asked_for(tmp_path: Path) -> None:
    for hour in range(3):
        save(tmp_path / "polls" / f"{hour}.json", SENSORS | {"time_stamp": 1658127600 + 3600 * hour})
    said, wrong = summary_of(tmp_path / "polls")
    assert "6 of 6 messages are readings, of 2 sensors" in said
    assert "4 repeat the sensor and time of one before them" in said
    assert wrong == []


def test_one_sensor_of_the_api(tmp_path: Path) -> None:
    ((key, value),) = read(save(tmp_path / "30001.json", ONE))
    assert (key, value["sensor_index"], value["created_at"]) == ("45.5, -122.6", "30001", "2022-07-18 06:00:00 UTC")
    assert (value["PM2.5_CF1_ug/m3"], value["PM2.5_CF1_B_ug/m3"]) == ("5.5", "5.7")


def test_a_sensors_history(tmp_path: Path) -> None:
    sensors = sensor_list(tmp_path / "sensors.csv", ["30001,45.5,-122.6,Alder"])
    path = save(tmp_path / "history.json", HISTORY)
    found = read(path, sensors=[sensors])
    assert [(value["created_at"][11:19], value.get("PM2.5_CF1_ug/m3")) for _, value in found] == [
        ("06:00:00", "5"),
        ("06:02:00", "6"),
        ("06:04:00", None),
    ]
    assert "2 of 3 messages are readings" in summary_of(path, sensors=[sensors])[0]


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"a": 1}, "line 1: is neither what a sensor says at /json nor an answer of PurpleAir's API"),
        (5, "line 1: is neither what a sensor says"),
        ({"key": "1, 2", "value": {}}, "holds messages; give it a name that ends in .ndjson"),
        (
            {"error": "ApiKeyMissingError", "description": "No API key was found."},
            "tells of an error: No API key was found.",
        ),
        (LOCAL | {"DateTime": "2022/07/18T06:00:00"}, "line 1: DateTime is no time: '2022/07/18T06:00:00'"),
        (LOCAL | {"lat": 95}, "line 1: lat and lon are no place on Earth"),
        ({name: LOCAL[name] for name in LOCAL if name != "pm2_5_cf_1"}, "line 1: lacks pm2_5_cf_1"),
        (LOCAL | {"pm2_5_cf_1": 20, "pm2_5_atm": 30}, "line 1: PM2.5 by CF=1 is less than by CF=ATM"),
        (HISTORY, "line 1: row 1: nobody knows where sensor 30001 is"),
        (SENSORS | {"fields": [*FIELDS[:-1], "pm2.5_cf_1_a"]}, "the answer has pm2.5_cf_1_a twice"),
        (SENSORS | {"fields": ["x", *FIELDS[1:7], "pm2.5_atm", "pm2.5_cf_1_b"]}, "lacks pm2.5_cf_1_a or pm2.5_cf_1"),
        (
            SENSORS | {"fields": [FIELDS[0], "date_created", *FIELDS[2:]]},
            "lacks last_seen; when it was asked for does not say",
        ),
        (SENSORS | {"data": [ROWS[0][:-1]]}, "line 1: row 1: not as many values as there are fields"),
    ],
)
def test_what_is_no_reading_is_named(tmp_path: Path, document: Any, problem: str) -> None:
    path = save(tmp_path / "saved.json", document)
    said, wrong = summary_of(path)
    assert wrong[0].startswith(f"{path}")
    assert problem in wrong[0]
    assert "0 of 0 messages are readings" in said


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ('{"SensorId": "0:1", ', "line 1: not JSON"),
        ('{}\n\n{"lat": 1, "lat": 2}', "line 1: is neither"),
        (json.dumps(LOCAL) + '\n\n{"lat": 1, "lat": 2}', "line 3: not JSON: lat come twice"),
        ("[" * 100_000, "line 1: not JSON"),
    ],
)
def test_what_is_no_json_is_named(tmp_path: Path, text: str, problem: str) -> None:
    _, wrong = summary_of(write(tmp_path / "saved.json", text))
    assert problem in wrong[0]


def test_two_devices_that_say_they_are_at_one_place_are_not_merged(tmp_path: Path) -> None:
    save(tmp_path / "a.json", LOCAL)
    save(tmp_path / "b.json", LOCAL | {"SensorId": "0:0:0:0:0:2", "pm2_5_cf_1": 900})
    said, (fault,) = summary_of(tmp_path)
    assert "a.json (0:0:0:0:0:1) and " in fault
    assert "0 of 0 messages are readings" in said
