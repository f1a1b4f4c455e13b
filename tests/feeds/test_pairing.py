"""Both lasers of a device become one reading: never two, never that of another device."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.sensor_files import (
    BEGIN,
    SECOND_COLUMNS,
    classic,
    column,
    feed_of,
    messages,
    name,
    read,
    summary_of,
    times,
    write,
)

SECOND = "PM2.5_CF1_B_ug/m3"
LATER = times(3, BEGIN + timedelta(seconds=37))


def second(pm25: list[object], when: list[str]) -> str:
    return classic(pm25, when, SECOND_COLUMNS)


@pytest.mark.parametrize(
    "file", [name("Alder B", kind="(undefined)"), name("Alder B"), "renamed (45.5 -122.6) Primary Real Time.csv"]
)
def test_what_the_second_laser_read_goes_to_the_first_ones_readings(tmp_path: Path, file: str) -> None:
    paths = [write(tmp_path / name(), classic([5, 6, 7])), write(tmp_path / file, second([50, 60, 3000], LATER))]
    for given in (paths, paths[::-1], [tmp_path]):
        found = read(*given)
        assert column(found, "PM2.5_CF1_ug/m3") == ["5", "6", "7"]
        assert column(found, SECOND) == ["50", "60", "3000"]
    said, wrong = summary_of(tmp_path)
    assert (
        "second laser of Alder at 45.5, -122.6: 3 of 3 lines belong to one of the first laser, 0 have no partner"
        in said
    )
    assert "sent before without their second laser stay without it" in said
    assert wrong == []


def test_lines_without_partner_are_counted_and_none_is_used_twice(tmp_path: Path) -> None:
    write(tmp_path / name(), classic([1, 2, 3, 4], times(4, step=timedelta(seconds=80))))
    when = times(3, BEGIN + timedelta(seconds=30), timedelta(seconds=160))
    write(tmp_path / name("Alder B", kind="(undefined)"), second([10, "", 30], when) + f"{when[0]},1\n")
    with feed_of(tmp_path) as feed:
        assert column(messages(feed), SECOND) == ["10", None, None, None]
    said, wrong = summary_of(tmp_path)
    assert "1 of 3 lines belong to one of the first laser, 2 have no partner within 60 s" in said
    assert [fault.rpartition(", line ")[2] for fault in wrong] == ["5: 2 values for the header's 10 columns"]


def test_a_devices_lasers_may_be_in_any_number_of_files_and_order(tmp_path: Path) -> None:
    days = [BEGIN + timedelta(days=number) for number in range(3)]
    for number, day in enumerate(days):
        period = f"Primary Real Time 07_{18 + number}_2022 07_{19 + number}_2022.csv"
        lines = classic([number * 10 + 1, number * 10 + 2], times(2, day)).splitlines()
        write(tmp_path / f"{number}" / name(period=period), "\n".join([lines[0], *lines[:0:-1]]))
    when = [time for day in days for time in times(2, day + timedelta(seconds=50))]
    write(tmp_path / name("Alder B", kind="(undefined)"), second([f"{n}.5" for n in range(6)], when))
    found = read(tmp_path)
    assert column(found, "PM2.5_CF1_ug/m3") == ["1", "2", "11", "12", "21", "22"]
    assert column(found, SECOND) == ["0.5", "1.5", "2.5", "3.5", "4.5", "5.5"]


@pytest.mark.parametrize(
    "file",
    [
        name("Birch B", kind="(undefined)"),
        name("Alder B", "45.5 -122.7", "(undefined)"),
        name("Alder B", kind="(undefined)", period="Primary 60_minute_average 07_18_2022 07_19_2022.csv"),
    ],
)
def test_a_second_laser_of_another_device_stays_out(tmp_path: Path, file: str) -> None:
    write(tmp_path / file, second([50, 60, 70], LATER))
    write(tmp_path / name(), classic([5, 6, 7]))
    assert column(read(tmp_path), SECOND) == [None, None, None]
    assert f"Left out: {tmp_path / file}: the second laser of a device" in summary_of(tmp_path)[0]


def test_lasers_at_one_place_are_told_apart_by_their_names(tmp_path: Path) -> None:
    write(tmp_path / name(), classic([5]))
    write(tmp_path / name("Alder B", kind="(undefined)"), second([50], LATER[:1]))
    write(tmp_path / name("Birch B", kind="(undefined)"), second([500], LATER[:1]))
    assert column(read(tmp_path), SECOND) == ["50"]


def test_a_second_lasers_file_that_breaks_off_is_named(tmp_path: Path) -> None:
    write(tmp_path / name(), classic([5, 6, 7]))
    path = write(tmp_path / (name("Alder B", kind="(undefined)") + ".gz"), second([50, 60, 70], LATER))
    path.write_bytes(path.read_bytes()[:-8])
    said, (fault,) = summary_of(tmp_path)
    assert fault.startswith(f"{path}: cannot be read")
    assert "3 of 3 messages are readings" in said
