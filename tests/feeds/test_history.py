"""CSV by sensor index: of the Data Download Tool and of the API's history."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.sensor_files import column, feed_of, messages, read, sensor_list, summary_of, write

TOOL = "30001 2022-07-18 2022-07-19 10-Minute Average.csv"
HEADER = "time_stamp,humidity,temperature,pm2.5_cf_1,pm10.0_cf_1\n"
SECOND = "PM2.5_CF1_B_ug/m3"


@pytest.fixture
def sensors(tmp_path: Path) -> Path:
    rows = ["30001,45.50,-122.6,Alder,0", "30002,45.50,-122.6,Birch,1"]
    return sensor_list(tmp_path / "lists" / "sensors.csv", rows, "index,latitude,longitude,name,location_type")


def test_the_tools_file_names_the_sensor_and_the_list_its_place(tmp_path: Path, sensors: Path) -> None:
    text = HEADER + "2022-07-18T06:00:00Z,70.5,69.5,38.695,40.076499999999996\n2022-07-18T06:10:00Z,70.8,,38.933,nan\n"
    path = write(tmp_path / TOOL, text)
    first, second = read(path, sensors=[sensors])
    assert first == (
        "45.50, -122.6",
        {
            "created_at": "2022-07-18 06:00:00 UTC",
            "PM2.5_CF1_ug/m3": "38.695",
            "PM10.0_CF1_ug/m3": "40.076499999999996",
            "Temperature_F": "69.5",
            "Humidity_%": "70.5",
            "sensor_index": "30001",
            "sensor_name": "Alder",
            "location_type": "0",
        },
    )
    assert set(first[1]) - set(second[1]) == {"Temperature_F", "PM10.0_CF1_ug/m3"}


def test_the_apis_history_is_unsorted_and_has_no_reading_where_the_first_laser_has_none(
    tmp_path: Path, sensors: Path
) -> None:
    header = "time_stamp,sensor_index,humidity,pm2.5_cf_1,pm2.5_cf_1_a,pm2.5_cf_1_b\n"
    path = write(tmp_path / "x.csv", header + "1658124600,30002,40,12.2,12.1,12.3\n1658124000,30001,41,12.5,,12.5\n")
    found = read(path, sensors=[sensors])
    assert column(found, "created_at") == ["2022-07-18 06:00:00 UTC", "2022-07-18 06:10:00 UTC"]
    assert column(found, "sensor_index") == ["30001", "30002"]
    assert column(found, "PM2.5_CF1_ug/m3") == [None, "12.1"]
    assert column(found, SECOND) == ["12.5", "12.3"]
    said, _ = summary_of(path, sensors=[sensors])
    assert "1 of 2 messages is a reading" in said
    assert "1 would be rejected: PM2.5_CF1_ug/m3 is missing (1)." in said


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2022-07-18T06:00:00Z", "2022-07-18 06:00:00 UTC"),
        ("2022-07-18T06:00:00+00:00", "2022-07-18 06:00:00 UTC"),
        ("2022-07-17T23:00:00-07:00", "2022-07-18 06:00:00 UTC"),
        ("2022-07-18 08:00:00+0200", "2022-07-18 06:00:00 UTC"),
        ("1658124000", "2022-07-18 06:00:00 UTC"),
        ("1658124000.0", "2022-07-18 06:00:00 UTC"),
        ("2022-07-18 06:00:00 UTC", "2022-07-18 06:00:00 UTC"),
    ],
)
def test_a_time_that_is_beyond_doubt_is_taken(tmp_path: Path, sensors: Path, time: str, expected: str) -> None:
    path = write(tmp_path / TOOL, f"time_stamp,pm2.5_cf_1_a\n{time},5\n")
    assert column(read(path, sensors=[sensors]), "created_at") == [expected]


@pytest.mark.parametrize(
    "time",
    [
        "2022-07-18T06:00:00",
        "1658124000000",
        "20220718",
        "2022-07-18",
        "",
        "07/18/2022 06:00",
        "2022-07-18T06:00:00.5Z",
    ],
)
def test_a_time_in_doubt_is_named(tmp_path: Path, sensors: Path, time: str) -> None:
    path = write(tmp_path / TOOL, f"time_stamp,pm2.5_cf_1_a\n{time},5\n2022-07-18T06:00:00Z,6\n")
    with feed_of(path, sensors=[sensors]) as feed:
        assert column(messages(feed), "PM2.5_CF1_ug/m3") == ["6"]
        assert feed.report.faults == [f"{path}, line 2: time_stamp is no time: {time!r}"]


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("30003.csv", HEADER, "nobody knows where sensor 30003 is: --sensors names a list"),
        ("history.csv", HEADER, "has no column sensor_index, nor does its name begin with the sensor's index"),
        (TOOL, "time_stamp,pm2.5_cf_1_b\n1658124000,5\n", "lacks pm2.5_cf_1_a or pm2.5_cf_1"),
        (TOOL, "time_stamp,pm2.5_atm\n1658124000,5\n", "lacks pm2.5_cf_1_a or pm2.5_cf_1"),
        (TOOL, "time_stamp,pm2.5_cf_1,pm2.5_cf_1\n1658124000,5,6\n", "line 1: the header has pm2.5_cf_1 twice"),
        (
            "x.csv",
            "time_stamp,sensor_index,pm2.5_cf_1\n1658124000,30003,5\n",
            "line 2: its sensor is not in the list of sensors",
        ),
    ],
)
def test_what_nobody_can_place_is_named(tmp_path: Path, sensors: Path, file: str, text: str, problem: str) -> None:
    said, (fault,) = summary_of(write(tmp_path / file, text), sensors=[sensors])
    assert fault.startswith(f"{tmp_path / file}")
    assert problem in fault
    assert "0 of 0 messages are readings" in said


def test_without_a_list_the_error_asks_for_one(tmp_path: Path) -> None:
    _, (fault,) = summary_of(write(tmp_path / TOOL, HEADER + "2022-07-18T06:00:00Z,70.5,69.5,38.695,40\n"))
    assert "--sensors" in fault


def test_devices_at_one_place_are_told_apart_by_their_index(tmp_path: Path, sensors: Path) -> None:
    text = "time_stamp,pm2.5_cf_1_a\n1658124000,{}\n"
    paths = [write(tmp_path / f"{index}.csv", text.format(pm)) for index, pm in ((30001, 5), (30002, 700))]
    said, wrong = summary_of(*paths, sensors=[sensors])
    assert "2 of 2 messages are readings, of 2 sensors" in said
    assert wrong == []
    found: list[Any] = read(*paths, sensors=[sensors])
    assert [(key, value["sensor_index"], value["location_type"]) for key, value in found] == [
        ("45.50, -122.6", "30001", "0"),
        ("45.50, -122.6", "30002", "1"),
    ]


def test_averages_of_two_lengths_of_one_sensor_are_not_mixed(tmp_path: Path, sensors: Path) -> None:
    text = HEADER + "2022-07-18T06:00:00Z,70.5,69.5,38.695,40\n"
    write(tmp_path / "a" / TOOL, text)
    write(tmp_path / "a" / TOOL.replace("10-Minute", "60-Minute"), text)
    said, (fault,) = summary_of(tmp_path / "a", sensors=[sensors])
    assert fault.startswith("45.50, -122.6 #30001 is the place of several devices that nothing tells apart")
    assert "(10-Minute Average)" in fault
    assert "0 of 0 messages are readings" in said
