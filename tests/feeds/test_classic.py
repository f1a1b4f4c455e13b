"""Downloads of PurpleAir's old map: what their names and columns say, and what they do not."""

from pathlib import Path

import pytest

from aqi_dagster.feeds.classic import Download, download_of
from tests.support.sensor_files import (
    COLUMNS,
    OLD_COLUMNS,
    SECOND_COLUMNS,
    classic,
    column,
    name,
    plain,
    read,
    summary_of,
    write,
)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (name(), Download("Alder", "45.5, -122.6", "outside", "Real Time")),
        (
            name("Blue (hill) house", "38.75 -120.930"),
            Download("Blue (hill) house", "38.75, -120.930", "outside", "Real Time"),
        ),
        (name("Shed B", kind="(undefined)") + ".gz", Download("Shed B", "45.5, -122.6", "undefined", "Real Time")),
        (
            name(kind="(inside)", period="Secondary 60_minute_average 07_18_2022 07_19_2022.csv"),
            Download("Alder", "45.5, -122.6", "inside", "60_minute_average"),
        ),
        (
            "Alder (outside) (45.5 -122.6) Primary Real Time (1).csv",
            Download("Alder", "45.5, -122.6", "outside", "Real Time"),
        ),
        (
            name(period="Primary Real Time 07_18_2022 07_19_2022 (2).csv"),
            Download("Alder", "45.5, -122.6", "outside", "Real Time"),
        ),
        ("Alder (north) (45.5 -122.6).CSV", Download("Alder (north)", "45.5, -122.6", None, "")),
        ("Alder (inside) x (45.5 -122.6).csv", Download("Alder (inside) x", "45.5, -122.6", "inside", "")),
        ("(45.5, -122.6).csv", Download("", "45.5, -122.6", None, "")),
        ("Alder.csv", None),
        ("Alder (91 0).csv", None),
        ("Alder (45.5).csv", None),
    ],
)
def test_the_name_says_which_device_it_is_of(file: str, expected: Download | None) -> None:
    assert download_of(file) == expected


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_download_becomes_messages(tmp_path: Path, suffix: str) -> None:
    text = "\ufeff" + classic(["2.20", ""]).replace("\n", "\r\n")
    first, second = read(write(tmp_path / (name(place="38.75 -120.930") + suffix), text))
    assert first == (
        "38.75, -120.930",
        {
            "created_at": "2022-07-18 06:00:00 UTC",
            "entry_id": "0",
            "PM1.0_CF1_ug/m3": "1.5",
            "PM2.5_CF1_ug/m3": "2.20",
            "PM10.0_CF1_ug/m3": "9.5",
            "UptimeMinutes": "0",
            "RSSI_dbm": "-60",
            "Temperature_F": "75",
            "Humidity_%": "40",
            "PM2.5_ATM_ug/m3": "2.20",
            "sensor_name": "Alder",
            "location_type": "0",
        },
    )
    assert "PM2.5_CF1_ug/m3" not in second[1]


def test_a_device_inside_says_so(tmp_path: Path) -> None:
    assert column(read(write(tmp_path / name(kind="(inside)"), classic([5]))), "location_type") == ["1"]


def test_what_was_not_measured_is_left_out(tmp_path: Path) -> None:
    text = classic([5, 6]).replace(",-60,75,40,5,", ",nan,NaN, ,nan,")
    said, _ = summary_of(write(tmp_path / name(), text))
    assert "2 of 2 messages are readings" in said
    assert "Left empty" not in said
    (_, first), (_, second) = read(tmp_path / name())
    assert set(second) - set(first) == {"RSSI_dbm", "Temperature_F", "Humidity_%", "PM2.5_ATM_ug/m3"}


def test_blanks_iso_times_and_columns_of_other_names_are_taken(tmp_path: Path) -> None:
    lines = ["created_at, PM2.5_CF1_ug/m3 ,Humidity,extra", "2022-07-18T06:00:00Z, 5.00,41,x"]
    lines += ["2022-07-18T06:02:00+00:00,+5.,,y"]
    found = read(write(tmp_path / name(), "\n".join(lines)))
    assert [plain(value) for _, value in found] == [
        {"created_at": "2022-07-18T06:00:00Z", "PM2.5_CF1_ug/m3": " 5.00", "Humidity": "41"},
        {"created_at": "2022-07-18T06:02:00+00:00", "PM2.5_CF1_ug/m3": "+5."},
    ]
    assert "2 of 2 messages are readings" in summary_of(tmp_path / name())[0]


def test_the_header_may_come_again(tmp_path: Path) -> None:
    found = read(
        write(tmp_path / name(), classic([5, 6]) + classic([7], ["2022-07-19 06:00:00 UTC"], (*COLUMNS[:9], "x")))
    )
    assert column(found, "PM2.5_CF1_ug/m3") == ["5", "6", "7"]
    assert column(found, "PM2.5_ATM_ug/m3") == ["5", "6", None]


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("Alder.csv", classic([5]), "the file's name has no coordinates"),
        (name(), "", "is empty"),
        (name(), "created_at,entry_id\n", "line 1: the header lacks PM2.5_CF1_ug/m3"),
        (
            name(),
            classic([5]).replace("created_at", "time"),
            "its first line is no header that is known: time, entry_id",
        ),
        (
            name(),
            "created_at;PM2.5_CF1_ug/m3\n",
            "its first line is no header that is known: created_at;PM2.5_CF1_ug/m3",
        ),
        (
            name(),
            "created_at,PM2.5_CF1_ug/m3,created_at,PM2.5_CF1_ug/m3\n1,2,3,4\n",
            "line 1: the header has PM2.5_CF1_ug/m3 and created_at twice",
        ),
        (name(), "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a pointer of Git LFS"),
        (name(), classic([5]).encode("utf-16").decode("latin-1"), "is no header that is known"),
    ],
)
def test_a_bad_download_is_named(tmp_path: Path, file: str, text: str, problem: str) -> None:
    path = write(tmp_path / file, text)
    said, (fault,) = summary_of(path)
    assert fault.startswith(f"{path}")
    assert problem in fault
    assert "0 of 0 messages are readings" in said


def test_a_file_in_utf16_is_named(tmp_path: Path) -> None:
    _, wrong = summary_of(write(tmp_path / name(), classic([5]).encode("utf-16")))
    assert wrong == [f"{tmp_path / name()}: is UTF-16; save it as UTF-8"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("2022-07-18 06:02:00 UTC,4", "2 values for the header's 10 columns"),
        ("2022-07-18 06:02:00 UTC,1,1.5,6,9.5,1,-60,75,40,6,7", "11 values for the header's 10 columns"),
        ('2022-07-18 06:02:00 UTC,1,1.5,"6,9.5,1,-60,75,40,6,', "is no CSV"),
        ("2022-07-18 06:02:00 UTC,1,1.5,6\r,9.5,1,-60,75,40,6,", "is no CSV"),
    ],
)
def test_a_bad_line_costs_that_line_alone(tmp_path: Path, line: str, problem: str) -> None:
    lines = classic([5, 6, 7]).splitlines()
    path = write(tmp_path / name(), "\n".join([*lines[:2], line, *lines[3:]]))
    said, wrong = summary_of(path)
    assert wrong == [f"{path}, line 3: {problem}"]
    assert "2 of 2 messages are readings" in said


def test_counts_of_particles_are_left_out(tmp_path: Path) -> None:
    secondary = name(period="Secondary Real Time 07_18_2022 07_19_2022.csv")
    write(tmp_path / secondary, "created_at,entry_id,>=0.3um/dl,>=10.0um/dl,PM1.0_ATM_ug/m3,PM10_ATM_ug/m3,\n")
    said, wrong = summary_of(write(tmp_path / name(), classic([5])).parent)
    assert f"Left out: {tmp_path / secondary}: counts of particles (a secondary download)" in said
    assert wrong == []


def test_until_october_2019_the_labels_were_swapped(tmp_path: Path) -> None:
    before = classic(["150.00"], ["2019-01-01 00:00:00 UTC"], OLD_COLUMNS).replace("150.00,\n", "100.00,\n")
    ((_, value),) = read(write(tmp_path / name(), before))
    assert (value["PM2.5_CF1_ug/m3"], value["PM2.5_ATM_ug/m3"]) == ("150.00", "100.00")
    assert (value["PM1.0_CF1_ug/m3"], value["PM10.0_CF1_ug/m3"]) == ("1.5", "9.5")


STRAIGHT = tuple(column.replace("ATM", "x").replace("CF_1", "CF_ATM").replace("CF_x", "CF_1") for column in OLD_COLUMNS)


def test_old_names_that_are_not_swapped_mean_what_they_say(tmp_path: Path) -> None:
    after = classic(["150.00"], ["2019-11-01 00:00:00 UTC"], STRAIGHT).replace("150.00,\n", "100.00,\n")
    ((_, value),) = read(write(tmp_path / name(), after))
    assert (value["PM2.5_CF1_ug/m3"], value["PM2.5_ATM_ug/m3"]) == ("150.00", "100.00")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            classic([150], ["2019-10-20 00:00:00 UTC"], OLD_COLUMNS),
            "line 2: its labels CF_1 and CF_ATM are those of before 2019-10-20, but the",
        ),
        (
            classic(["150.00"], ["2019-01-01 00:00:00 UTC"], OLD_COLUMNS).replace("150.00,\n", "200.00,\n"),
            "line 2: PM2.5 by CF=1 is less than by CF=ATM",
        ),
        (
            classic(["150.00"], ["2019-11-01 00:00:00 UTC"], STRAIGHT).replace("150.00,\n", "200.00,\n"),
            "line 2: PM2.5 by CF=1 is less than by CF=ATM",
        ),
        (
            "created_at,PM2.5_CF_ATM_ug/m3,PM2.5_CF_1_ug/m3\n2019-01-01 00:00:00 UTC,150,100\n",
            "without PM1.0 and PM10 nobody can tell",
        ),
        (
            "created_at,PM1.0_CF_1,PM2.5_CF_1,PM2.5_CF1_ug/m3\n2019-01-01 00:00:00 UTC,1,1,1\n",
            "has PM2.5_CF1_ug/m3 twice, under two names",
        ),
    ],
)
def test_labels_that_contradict_what_they_are_for_are_named(tmp_path: Path, text: str, problem: str) -> None:
    said, (fault,) = summary_of(write(tmp_path / name(), text))
    assert problem in fault
    assert "0 of 0 messages are readings" in said


SECOND = "Shed B"


@pytest.mark.parametrize(
    ("file", "columns"),
    [
        (name(SECOND, kind="(undefined)"), SECOND_COLUMNS),
        (name(SECOND, kind="(undefined)"), COLUMNS),
        (name(SECOND), SECOND_COLUMNS),
        ("laser two (45.5 -122.6).csv", SECOND_COLUMNS),
    ],
)
def test_a_second_laser_alone_is_never_taken_for_a_first(tmp_path: Path, file: str, columns: tuple[str, ...]) -> None:
    said, wrong = summary_of(write(tmp_path / file, classic([5, 6], columns=columns)))
    assert f"Left out: {tmp_path / file}: the second laser of a device whose first laser's file is not here." in said
    assert "0 of 0 messages are readings" in said
    assert wrong == []


@pytest.mark.parametrize("device", ["Site B", "B", "Lab B B"])
def test_a_first_laser_is_never_taken_for_a_second_by_its_name(tmp_path: Path, device: str) -> None:
    assert column(read(write(tmp_path / name(device), classic([5, 6]))), "PM2.5_CF1_ug/m3") == ["5", "6"]
