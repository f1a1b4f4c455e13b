"""The seed's own table of downloads, whose last column names the download of each row."""

from pathlib import Path

import pytest

from tests.support.sensor_files import COLUMNS, SECOND_COLUMNS, classic, column, name, read, summary_of, write


def table(*downloads: tuple[str, str], header: str = ",".join(COLUMNS) + ",sensor") -> str:
    """A table of the rows of ``downloads``, each a file's name and text."""
    rows = [line + file for file, text in downloads for line in text.splitlines()[1:]]
    return "\n".join([header, *rows]) + "\n"


@pytest.mark.parametrize(
    "header", [",".join(COLUMNS) + ",sensor", ",".join(COLUMNS) + ",", ",".join(COLUMNS) + ",group"]
)
def test_each_row_is_of_the_device_that_its_last_cell_names(tmp_path: Path, header: str) -> None:
    text = table((name(), classic([5, 6])), (name("Birch", "45.6 -122.6", "(inside)"), classic([7])), header=header)
    found = read(write(tmp_path / "all.csv", text))
    assert [(key, value["PM2.5_CF1_ug/m3"], value["sensor_name"], value["location_type"]) for key, value in found] == [
        ("45.5, -122.6", "5", "Alder", "0"),
        ("45.6, -122.6", "7", "Birch", "1"),
        ("45.5, -122.6", "6", "Alder", "0"),
    ]
    assert all(set(COLUMNS) < set(value) for _, value in found)


def test_second_lasers_secondary_downloads_and_headers_between_are_no_readings(tmp_path: Path) -> None:
    later = ["2022-07-18 06:00:30 UTC", "2022-07-18 06:09:00 UTC"]
    text = table(
        (name(), classic([5, 6])),
        (name("Alder B", kind="(undefined)"), classic([50, 60], later, SECOND_COLUMNS)),
        (name("Birch B", "45.6 -122.6", "(undefined)"), classic([70], later[:1], SECOND_COLUMNS)),
        (name(period="Secondary Real Time 07_18_2022 07_19_2022.csv"), classic([900, 900])),
    )
    path = write(tmp_path / "all.csv", text + text.splitlines()[0] + "\n")
    found = read(path)
    assert column(found, "PM2.5_CF1_ug/m3") == ["5", "6"]
    assert column(found, "PM2.5_CF1_B_ug/m3") == ["50", None]
    said, _ = summary_of(path)
    assert (
        "second laser of Alder at 45.5, -122.6: 1 of 2 lines belong to one of the first laser, 1 have no partner"
        in said
    )
    assert "second laser of Birch at 45.6, -122.6: 1 line without any of the first laser" in said
    assert "2 lines of the secondary download" in said


def test_a_row_of_no_download_is_named(tmp_path: Path) -> None:
    text = table((name(), classic([5])), ("nowhere.csv", classic([6])))
    said, wrong = summary_of(write(tmp_path / "all.csv", text))
    assert wrong == [f"{tmp_path}/all.csv, line 3: names no download with coordinates in its last column"]
    assert "1 of 1 message is a reading" in said
    _, wrong = summary_of(write(tmp_path / "none.csv", table(("nowhere.csv", classic([6])))))
    assert "the file's name has no coordinates" in wrong[0]


def test_devices_at_one_place_are_not_merged(tmp_path: Path) -> None:
    text = table((name(), classic([5])), (name("Birch"), classic([6])), (name("Cedar", "45.7 -122.6"), classic([7])))
    said, (fault,) = summary_of(write(tmp_path / "all.csv", text))
    assert "(Alder, Real Time)" in fault
    assert "(Birch, Real Time)" in fault
    assert "1 of 1 message is a reading" in said
