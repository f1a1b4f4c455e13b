"""The list that says where sensors are of which files have only the index."""

from pathlib import Path

import pytest

from aqi_dagster.errors import InputFileError
from aqi_dagster.feeds.sensor_list import Sensor, SensorList
from tests.support.sensor_files import classic, name, sensor_list, summary_of, write


def listed(path: Path) -> SensorList:
    sensors = SensorList()
    sensors.add(path)
    return sensors


def test_sensors_are_found_by_index(tmp_path: Path) -> None:
    path = sensor_list(
        tmp_path / "sensors.csv", ["30001,38.90,-120.1,Alder", '30002, 38.95 ,-120.10,"Birch, north"', "7,0,0,"]
    )
    assert listed(path).by_index == {
        30001: Sensor("38.90, -120.1", 30001, "Alder"),
        30002: Sensor("38.95, -120.10", 30002, "Birch, north"),
        7: Sensor("0, 0", 7),
    }


def test_columns_may_be_in_any_order_and_have_names_of_the_api(tmp_path: Path) -> None:
    rows = ["inside,-120.1,x,38.9,30001,08:3A:8d:0b:A4:fd", "1,-120.2,y,38.9,30002,", ",-120.3,z,38.9,,0:0:0:0:0:1"]
    sensors = listed(sensor_list(tmp_path / "s.csv", rows, "location_type,lon,name,lat,sensor_index,mac_address"))
    assert sensors.by_index[30001] == Sensor("38.9, -120.1", 30001, "x", "1")
    assert sensors.by_index[30002].location_type == "1"
    assert sensors.of_device("8:3a:8d:b:a4:fd") == sensors.by_index[30001]
    assert sensors.of_device("00:00:00:00:00:01") == Sensor("38.9, -120.3", None, "z")


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (["30001,91,0,x"], "line 2: 91, 0 is no place on Earth"),
        (["30001,38.9,,x"], "line 2: 38.9,  is no place on Earth"),
        (["x,38.9,0,x"], "line 2: the index 'x' is not a whole number"),
        ([",38.9,0,x"], "line 2: the index '' is not a whole number"),
        (["1,38.9,0,x", "1,38.9,1,x"], "line 3: sensor 1 is listed twice, in two ways"),
        (["1,38.9"], "line 2: 2 values for the header's 4 columns"),
    ],
)
def test_what_is_wrong_in_the_list_is_named(tmp_path: Path, rows: list[str], problem: str) -> None:
    with pytest.raises(InputFileError) as refused:
        listed(sensor_list(tmp_path / "sensors.csv", rows))
    assert str(refused.value) == f"{tmp_path}/sensors.csv, {problem}"


@pytest.mark.parametrize("header", ["index,latitude,name", "latitude,longitude", "index,lat,latitude,lon", "a,b"])
def test_what_is_no_list_is_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(InputFileError, match=r"is no list of sensors|two columns for one thing"):
        listed(sensor_list(tmp_path / "sensors.csv", [], header))


def test_a_list_among_the_files_is_used_and_told(tmp_path: Path) -> None:
    sensor_list(tmp_path / "z sensors.csv", ["30001,38.9,-120.1,Alder"])
    write(tmp_path / "30001.csv", "time_stamp,pm2.5_cf_1_a\n1658124000,5\n")
    write(tmp_path / name(), classic([5]))
    said, wrong = summary_of(tmp_path)
    assert f"Note: {tmp_path}/z sensors.csv: a list of 1 sensor." in said
    assert "2 of 2 messages are readings, of 2 sensors" in said
    assert wrong == []
