"""Files together: which are read, whose readings they are, and that nothing is left out without a word."""

from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from aqi_dagster.errors import InputFileError
from aqi_dagster.feeds import checking, sorting
from aqi_dagster.feeds.summary import summarized_feed
from tests.support.sensor_files import BEGIN, classic, column, feed_of, messages, name, read, summary_of, times, write


def ndjson(*readings: tuple[str, str, object]) -> str:
    """Messages with sensor, time and PM2.5."""
    return "".join(
        f'{{"key": "{sensor}", "value": {{"created_at": "{time}", "PM2.5_CF1_ug/m3": "{pm25}"}}}}\n'
        for sensor, time, pm25 in readings
    )


def test_folders_are_searched_below_and_what_is_passed_over_is_told(tmp_path: Path) -> None:
    write(tmp_path / name(), classic([5]))
    write(tmp_path / "2021" / "deep" / (name("Birch", "45.6 -122.6") + ".gz"), classic([6]))
    for other in ("README.md", "2021/photo.jpg", f"._{name()}", ".git/x.csv", "2021/x.zip"):
        write(tmp_path / other, "x")
    said, wrong = summary_of(tmp_path)
    assert "2 of 2 messages are readings, of 2 sensors" in said
    assert wrong == []
    (left_out,) = [line for line in said.splitlines() if line.startswith("Left out")]
    assert all(other in left_out for other in ("README.md", "photo.jpg", "._Alder", ".git", "x.zip"))


def test_a_folder_without_files_and_a_file_of_unknown_kind_do_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    paths = [tmp_path / "empty", write(tmp_path / "x.parquet", "x"), write(tmp_path / name(), classic([5]))]
    said, wrong = summary_of(*paths, tmp_path / "missing.ndjson")
    assert "1 of 1 message is a reading" in said
    assert wrong[0] == f"{tmp_path}/empty: no .ndjson, .jsonl, .csv or .json file below this folder"
    assert wrong[1].startswith(f"{tmp_path}/x.parquet: unknown kind of file")
    assert wrong[2].startswith(f"{tmp_path}/missing.ndjson: cannot be read")


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    path = write(tmp_path / name(), classic([5]))
    said, _ = summary_of(tmp_path, path)
    assert "1 of 1 message is a reading" in said
    assert f"Left out: {path}: is named twice, and read once." in said


def test_what_was_read_before_a_file_breaks_off_is_sent(tmp_path: Path) -> None:
    random = Random(1)  # noqa: S311 (no secret)
    lines = ndjson(*(("45.5, -122.6", time, random.random()) for time in times(20_000)))
    path = write(tmp_path / "cut.ndjson.gz", lines)
    path.write_bytes(path.read_bytes()[:-1000])
    said, (fault,) = summary_of(path, write(tmp_path / name("Birch", "45.6 -122.6"), classic([6])))
    assert fault.startswith(f"{path}: cannot be read: ")
    assert "of 2 sensors" in said


def test_messages_of_all_files_are_sent_in_order_of_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "AT_ONCE", 7)
    monkeypatch.setattr(sorting, "PIECE_BYTES", 3_000)
    random = Random(2)  # noqa: S311 (no secret)
    everything = []
    for number in range(6):
        when = random.sample(times(90, BEGIN + timedelta(seconds=number)), 60)
        everything += when
        write(tmp_path / name(f"Device {number}", f"45.{number} -122.6"), classic(range(60), when))
    found = column(read(tmp_path), "created_at")
    assert found == sorted(everything)
    assert len(found) == 360


def test_a_message_that_is_no_reading_stays_near_its_neighbours(tmp_path: Path) -> None:
    here = "45.5, -122.6"
    early, late, future = "2022-07-18 06:00:00 UTC", "2022-07-18 07:00:00 UTC", "2030-01-01 00:00:00 UTC"
    text = ndjson((here, future, 9), (here, late, 7), (here, "soon", 8), (here, early, 6), (here, early, "much"))
    with feed_of(write(tmp_path / "a.ndjson", text)) as feed:
        assert column(messages(feed), "PM2.5_CF1_ug/m3") == ["6", "much", "7", "8", "9"]
        assert feed.counts.reasons == {
            "created_at is in the future": 1,
            'created_at is not of the form "2022-07-18 00:00:00 UTC"': 1,
            "PM2.5_CF1_ug/m3 is not a number": 1,
        }
        assert (feed.counts.first, feed.counts.last) == (BEGIN, BEGIN + timedelta(hours=1))


def test_devices_at_one_place_are_an_error_that_names_both_and_stops_no_other(tmp_path: Path) -> None:
    north, south = (write(tmp_path / name(device), classic([5, "x"])) for device in ("North", "South"))
    write(tmp_path / name("Birch", "45.6 -122.6"), classic([6, 7]))
    with feed_of(tmp_path) as feed:
        assert column(messages(feed), "sensor_name") == ["Birch", "Birch"]
        assert feed.counts.reasons == {}
    said, (fault,) = summary_of(tmp_path)
    assert fault == (
        "45.5, -122.6 is the place of several devices that nothing tells apart, so none of them is sent: "
        f"{north} (North, Real Time) and {south} (South, Real Time)"
    )
    assert "2 of 2 messages are readings, of 1 sensor" in said


def test_one_device_in_many_files_is_one_sensor(tmp_path: Path) -> None:
    for number in range(3):
        period = f"Primary Real Time 0{number + 1}_01_2022 0{number + 2}_01_2022.csv"
        write(tmp_path / name(period=period), classic([number], times(1, BEGIN + timedelta(days=number))))
    assert column(read(tmp_path), "PM2.5_CF1_ug/m3") == ["0", "1", "2"]


def test_real_time_and_averages_of_a_device_are_not_mixed(tmp_path: Path) -> None:
    write(tmp_path / name(), classic([5]))
    write(tmp_path / name(period="Primary 60_minute_average 07_18_2022 07_19_2022.csv"), classic([6]))
    _, (fault,) = summary_of(tmp_path)
    assert "(Alder, Real Time)" in fault
    assert "(Alder, 60_minute_average)" in fault


def test_a_sensor_inside_and_one_outside_that_have_one_name_are_not_mixed(tmp_path: Path) -> None:
    later = times(2, BEGIN + timedelta(seconds=40))
    write(tmp_path / name(), classic([5, 6]))
    write(tmp_path / name(kind="(inside)"), classic([300, 400], later))
    _, (fault,) = summary_of(tmp_path)
    assert "(Alder, inside, Real Time)" in fault
    assert "(Alder, Real Time)" in fault
    with feed_of(tmp_path) as feed:
        assert messages(feed) == []


def test_a_place_in_two_spellings_is_told(tmp_path: Path) -> None:
    text = ndjson(*((place, times(1)[0], 5) for place in ("45.5, -122.6", "45.50,-122.60", "45.5,-122.6", "45.6, 0")))
    said, wrong = summary_of(write(tmp_path / "a.ndjson", text))
    assert (
        "Note: '45.5, -122.6' and '45.50, -122.60' are one place in different digits, and so different sensors." in said
    )
    assert "of 3 sensors" in said
    assert wrong == []


def test_readings_that_come_again_are_counted(tmp_path: Path) -> None:
    write(tmp_path / "a" / name(), classic([5, 6, 7]))
    write(tmp_path / "b" / name(period=PERIOD_OF_COPY), classic([5, 6, 7]))
    said, wrong = summary_of(tmp_path)
    assert "6 of 6 messages are readings, of 1 sensor" in said
    assert "3 repeat the sensor and time of one before them, and are not scored." in said
    assert wrong == []


PERIOD_OF_COPY = "Primary Real Time 07_18_2022 07_19_2022 (1).csv"


def test_files_that_say_otherwise_of_one_sensor_and_time_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "AT_ONCE", 2)
    monkeypatch.setattr(sorting, "PIECE_BYTES", 200)
    here, (when, then) = "45.5, -122.6", times(2)
    first = write(tmp_path / "a.ndjson", ndjson((here, when, 5), (here, then, 6)))
    second = write(tmp_path / "b.ndjson", ndjson((here, when, 5), (here, then, 700), ("45.6, 0", then, 1)))
    said, wrong = summary_of(first, second)
    assert wrong == [
        f"{first} and {second}: 1 reading with other values than one of the same sensor and time, which alone counts"
    ]
    assert "2 repeat the sensor and time" in said
    said, wrong = summary_of(write(tmp_path / "c.ndjson", ndjson((here, when, 5), (here, when, 6))))
    assert f"Note: {tmp_path}/c.ndjson: 1 reading with other values than one of the same" in said
    assert wrong == []


def test_fields_that_will_be_left_empty_are_told(tmp_path: Path) -> None:
    write(tmp_path / name(), classic([5, 6]).replace(",75,40,5,", ",warm,inf,5,"))
    said, wrong = summary_of(tmp_path)
    assert "Left empty, because it cannot be read: Temperature_F (1), Humidity_% (1)." in said
    assert wrong == []


def test_many_files_are_told_by_kind(tmp_path: Path) -> None:
    for number in range(30):
        write(tmp_path / name(f"Device {number}", f"45.{number} -122.6"), classic([5, 6]))
    write(tmp_path / "more.ndjson", ndjson(("45, -122", times(1)[0], 5)))
    said, _ = summary_of(tmp_path)
    assert "Read 30 files [classic download]: 60 messages." in said
    assert "Read 1 file [NDJSON]: 1 message." in said
    assert "61 of 61 messages are readings, of 31 sensors, 2022-07-18 06:00 to 2022-07-18 06:02 UTC." in said


def test_the_terminal_is_told_first_and_what_is_wrong_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / name(), classic([5]) + "cut")

    def send() -> None:
        with summarized_feed([path], [], timedelta()) as feed:
            assert "1 of 1 message is a reading" in capsys.readouterr().out
            assert len([*feed.messages()]) == 1

    with pytest.raises(InputFileError, match="One thing is wrong with the files; all else was sent") as refused:
        send()
    assert f"{path}, line 3: 1 value for the header's 10 columns" in str(refused.value)


def test_without_a_reading_nothing_is_sent_and_every_reason_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / name(), classic(["", "x"]) + "cut")
    with (
        pytest.raises(InputFileError, match="There is no reading in these files, so nothing is sent") as refused,
        summarized_feed([path], [], timedelta()),
    ):
        pytest.fail("there is nothing to be sent")
    assert "line 4" in str(refused.value)
