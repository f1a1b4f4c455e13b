"""CSV of a sensor's own card."""

from pathlib import Path

import pytest

from tests.support.sensor_files import column, feed_of, messages, read, sensor_list, summary_of, write

HEADER = (
    "UTCDateTime,mac_address,firmware_ver,current_temp_f,current_humidity,adc,rssi,uptime,pm1_0_cf_1,pm2_5_cf_1,"
    "pm10_0_cf_1,pm1_0_atm,pm2_5_atm,pm10_0_atm,pm1_0_cf_1_b,pm2_5_cf_1_b,pm10_0_cf_1_b\n"
)
OLD_HEADER = (
    HEADER.replace("cf_1", "x")
    .replace("atm", "cf_1")
    .replace("x", "atm")
    .replace("_atm_b", "_y_b")
    .replace("_y_b", "_atm_b")
)
ROW = "2022/07/18T06:0{0}:00z,0:0:0:0:0:1,7.04,75,40,{1},-60,600,1.5,{2},9.5,1.4,{3},9.4,1.6,{4},9.6\n"
ROWS = (
    ROW.format(0, "0.01", 5, 4.5, 5.5) + HEADER + ROW.format(2, "nan", 60, 40, 65) + ROW.format(4, "nan", "nan", 4, 7)
)


@pytest.fixture
def sensors(tmp_path: Path) -> Path:
    header = "index,latitude,longitude,name,mac_address"
    return sensor_list(tmp_path / "lists" / "sensors.csv", ["30001,45.5,-122.60,Alder,00:00:00:00:00:01"], header)


def test_a_card_becomes_messages(tmp_path: Path, sensors: Path) -> None:
    path = write(tmp_path / "20220718.csv", HEADER + ROWS)
    found = read(path, sensors=[sensors])
    assert found[0] == (
        "45.5, -122.60",
        {
            "created_at": "2022-07-18 06:00:00 UTC",
            "PM1.0_CF1_ug/m3": "1.5",
            "PM2.5_CF1_ug/m3": "5",
            "PM10.0_CF1_ug/m3": "9.5",
            "PM2.5_ATM_ug/m3": "4.5",
            "PM2.5_CF1_B_ug/m3": "5.5",
            "Temperature_F": "75",
            "Humidity_%": "40",
            "RSSI_dbm": "-60",
            "UptimeMinutes": "10.00",
            "sensor_index": "30001",
            "sensor_name": "Alder",
        },
    )
    assert column(found, "PM2.5_CF1_ug/m3") == ["5", "60", None]
    said, _ = summary_of(path, sensors=[sensors])
    assert "2 of 3 messages are readings, of 1 sensor" in said


def test_old_firmware_has_the_names_mixed_up(tmp_path: Path, sensors: Path) -> None:
    found = read(write(tmp_path / "old.csv", OLD_HEADER + ROW.format(2, "nan", 60, 40, 65)), sensors=[sensors])
    assert (column(found, "PM2.5_CF1_ug/m3"), column(found, "PM2.5_ATM_ug/m3")) == (["60"], ["40"])
    assert column(found, "PM2.5_CF1_B_ug/m3") == ["65"]


@pytest.mark.parametrize("header", [HEADER, OLD_HEADER])
def test_names_that_contradict_the_values_are_named(tmp_path: Path, sensors: Path, header: str) -> None:
    text = header + ROW.format(0, 1, 40, 60, 65)
    _, wrong = summary_of(write(tmp_path / "odd.csv", text), sensors=[sensors])
    assert wrong == [
        f"{tmp_path}/odd.csv, line 2: PM2.5 by CF=1 is less than by CF=ATM: old firmware has their names mixed up"
    ]


@pytest.mark.parametrize(
    "file", ["Alder (45.5 -122.60).csv", "Alder (45.5 -122.60)/20220718.csv", "30001.csv", "30001 roof/20220718.csv"]
)
def test_the_place_may_be_in_the_name_of_the_file_or_its_folder(tmp_path: Path, file: str) -> None:
    sensors = sensor_list(tmp_path / "sensors.csv", ["30001,45.5,-122.60,Alder", "30002,45.6,-122.60,Birch"])
    assert {key for key, _ in read(write(tmp_path / file, HEADER + ROWS), sensors=[sensors])} == {"45.5, -122.60"}


def test_a_list_of_one_sensor_says_where_a_card_is_from(tmp_path: Path) -> None:
    sensors = sensor_list(tmp_path / "sensors.csv", ["30001,45.5,-122.60,Alder"])
    path = write(tmp_path / "20220718.csv", HEADER + ROWS)
    assert column(read(path, sensors=[sensors]), "sensor_index") == ["30001"] * 3
    other = write(tmp_path / "other.csv", HEADER + ROWS.replace("0:1,", "0:2,"))
    said, (fault,) = summary_of(path, other, sensors=[sensors])
    assert "nothing tells apart" in fault
    assert "0 of 0 messages" in said


def test_a_card_of_unknown_place_is_named(tmp_path: Path) -> None:
    _, wrong = summary_of(write(tmp_path / "20220718.csv", HEADER + ROW.format(0, 1, 5, 4, 5)))
    assert (
        "line 2: nobody knows where 0:0:0:0:0:1 is: the list that --sensors names must have its mac_address" in wrong[0]
    )


def test_a_line_that_broke_off_when_the_power_went_is_named(tmp_path: Path, sensors: Path) -> None:
    text = HEADER + ROWS.replace(HEADER, "2022/07/18T06:01:00z,0:0:0\n" + "\x00" * 20 + "\n" + HEADER)
    with feed_of(write(tmp_path / "cut.csv", text), sensors=[sensors]) as feed:
        assert column(messages(feed), "PM2.5_CF1_ug/m3") == ["5", "60", None]
        assert [fault.rpartition(": ")[2] for fault in feed.report.faults] == [
            "2 values for the header's 17 columns",
            "1 value for the header's 17 columns",
        ]


def test_a_card_without_pm25_is_named(tmp_path: Path) -> None:
    _, wrong = summary_of(write(tmp_path / "x.csv", "UTCDateTime,mac_address,pm2_5_atm\n"))
    assert wrong == [f"{tmp_path}/x.csv: lacks pm2_5_cf_1"]
