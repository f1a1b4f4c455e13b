"""Files from the command line to the tables: nothing is misread, and what is left out is told."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pytest

from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.message_fields import PM25_FIELD
from tests.support.command_line import Site
from tests.support.messages import FIRST_WINDOW, message
from tests.support.sensor_files import SECOND_COLUMNS, classic, name, sensor_list, times, write
from tests.support.tables import rows
from tests.support.topics import Topic

RANGE = ("--from", "2022-07-18", "--to", "2022-07-18")

NewSite = Callable[[], Site]


@pytest.fixture
def site(tmp_path: Path, broker: EmbeddedBroker) -> Site:
    settings = {"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers, "KAFKA_TOPIC": f"files-{uuid4()}"}
    return Site(tmp_path / "site", settings)


@pytest.fixture(autouse=True)
def folder(site: Site) -> Path:
    site.folder.mkdir()
    return site.folder


def asked(site: Site, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(site.published), read_only=True) as connection:
        return rows(connection, query)


def made(site: Site) -> bool:
    """Whether the site's topic is there."""
    found = site.run("materialize", *RANGE, check=False)
    return "has no topic" not in found.stderr


TWICE = "created_at,PM2.5_CF1_ug/m3,created_at,PM2.5_CF1_ug/m3\n2022-07-18 06:00:00 UTC,5,2022-07-18 06:00:37 UTC,3000"

STEADY = [5 + number % 7 * 0.3 for number in range(100)]
"""Clean air, and behind it whatever follows."""


@pytest.mark.long
def test_a_second_laser_that_fails_is_no_smoke(site: Site, tmp_path: Path) -> None:
    when = times(120, FIRST_WINDOW)
    later = times(120, FIRST_WINDOW + timedelta(seconds=37))
    paths = [
        write(tmp_path / name("Shed"), classic([*STEADY, *STEADY[:20]], when)),
        write(tmp_path / name("Shed B", kind="(undefined)"), classic([*STEADY, *[3000] * 20], later, SECOND_COLUMNS)),
    ]
    output = site.run("produce", *map(str, paths)).stdout
    assert "120 of 120 lines belong to one of the first laser, 0 have no partner" in output
    assert "Sent 120 messages" in output
    assert "No window of the range holds an anomaly." in site.run("materialize", *RANGE).stdout
    assert asked(site, "SELECT sensor, count(*) FROM readings GROUP BY ALL") == [("45.5, -122.6", 120)]


@pytest.mark.long
def test_a_device_whose_name_ends_in_b_and_one_in_a_folder_below_are_scored(site: Site, tmp_path: Path) -> None:
    when = times(120, FIRST_WINDOW)
    write(tmp_path / "files" / name("Site B"), classic([*STEADY, *[700] * 20], when))
    write(tmp_path / "files" / "2021" / name("Site C", "45.6 -122.6"), classic([*STEADY, *STEADY[:20]], when))
    site.run("produce", str(tmp_path / "files"))
    output = site.run("materialize", *RANGE).stdout
    assert "smoke" in output
    assert asked(site, "SELECT sensor, count(*) FROM readings GROUP BY ALL ORDER BY ALL") == [
        ("45.5, -122.6", 120),
        ("45.6, -122.6", 120),
    ]


@pytest.mark.long
def test_iso_times_blanks_and_nan_cost_no_reading(site: Site, tmp_path: Path) -> None:
    text = classic([" 5.00", "+6", "7."]).replace(" UTC", "Z").replace("18 06", "18T06").replace("75,40", "nan,nan")
    site.run("produce", str(write(tmp_path / name(), text)))
    output = site.run("materialize", *RANGE).stdout
    assert "No window of the range holds an anomaly." in output
    assert asked(site, "SELECT pm25_cf1, temperature, humidity FROM readings ORDER BY created_at") == [
        (5.0, None, None),
        (6.0, None, None),
        (7.0, None, None),
    ]


def test_one_bad_line_and_one_bad_file_stop_no_other_and_end_in_an_error(site: Site, tmp_path: Path) -> None:
    write(tmp_path / "files" / name(), classic([5, 6, 7]) + "2022-07-18 06:06:00 UTC,4")
    write(tmp_path / "files" / name("Birch", "45.6 -122.6"), classic([5, 6, 7]))
    write(tmp_path / "files" / name("Cedar", "45.7 -122.6"), TWICE)
    finished = site.run("produce", str(tmp_path / "files"), check=False)
    assert finished.returncode == 1
    assert "Sent 6 messages" in finished.stdout
    assert "2 things are wrong with the files; all else was sent." in finished.stderr
    assert "line 5: 2 values for the header's 10 columns" in finished.stderr
    assert "line 1: the header has PM2.5_CF1_ug/m3 and created_at twice" in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize(
    "text",
    [
        TWICE,
        classic(["", "much"]),
        classic([5, 6]).replace(" UTC", ""),
        "",
    ],
)
def test_where_there_is_no_reading_the_command_fails_and_makes_no_topic(site: Site, tmp_path: Path, text: str) -> None:
    finished = site.run("produce", str(write(tmp_path / name(), text)), check=False)
    assert finished.returncode == 1
    assert "There is no reading in these files, so nothing is sent." in finished.stderr
    assert "Created topic" not in finished.stdout
    assert not made(site)


def test_devices_at_one_place_are_named(site: Site, tmp_path: Path) -> None:
    for device in ("North", "South"):
        write(tmp_path / "files" / name(device), classic([5, 6]))
    finished = site.run("produce", str(tmp_path / "files"), check=False)
    assert finished.returncode == 1
    assert "North (outside)" in finished.stderr
    assert "South (outside)" in finished.stderr


def test_a_list_of_sensors_says_where_the_apis_files_are_from(site: Site, tmp_path: Path) -> None:
    sensors = sensor_list(tmp_path / "sensors.csv", ["30001,45.5,-122.60,Alder"])
    lines = ["time_stamp,sensor_index,humidity,pm2.5_cf_1_a,pm2.5_cf_1_b", "1658124600,30001,40,12.1,12.3"]
    history = write(tmp_path / "history.csv", "\n".join([*lines, "1658124000,30001,41,,12.5"]))
    said = {"SensorId": "0:1", "DateTime": "2022/07/18T06:00:00z", "lat": 45.6, "lon": -122.6, "pm2_5_cf_1": 12.0}
    local = write(tmp_path / "alder.json", json.dumps(said))
    output = site.run("produce", "--sensors", str(sensors), str(history), str(local)).stdout
    assert "2 of 3 messages are readings, of 2 sensors" in output
    assert "1 would be rejected: PM2.5_CF1_ug/m3 is missing (1)." in output
    site.run("materialize", *RANGE)
    assert asked(site, "SELECT sensor, created_at, pm25_cf1, humidity FROM readings ORDER BY sensor") == [
        ("45.5, -122.60 #30001", datetime(2022, 7, 18, 6, 10), 12.1, 40.0),  # noqa: DTZ001
        ("45.6, -122.6", datetime(2022, 7, 18, 6), 12.0, None),  # noqa: DTZ001
    ]


def test_a_key_without_quotes_is_a_reading(site: Site, broker: EmbeddedBroker) -> None:
    topic = Topic(site.settings["KAFKA_TOPIC"], broker.bootstrap_servers)
    topic.create()
    _, value = message("any", FIRST_WINDOW, 5)
    topic.send([(b"45.5,-122.60", value)])
    site.run("materialize", *RANGE)
    assert asked(site, "SELECT sensor FROM readings") == [("45.5, -122.60",)]


def test_a_topic_of_other_names_is_fed_and_read_by_them(site: Site, tmp_path: Path, broker: EmbeddedBroker) -> None:
    names = "created_at=ts, PM2.5_CF1_ug/m3=pm25, PM2.5_CF1_B_ug/m3=pm25 b"
    theirs = Site(site.folder, site.settings | {"KAFKA_FIELDS": names})
    paths = [
        write(tmp_path / name("Shed"), classic([5, 6, 7])),
        write(tmp_path / name("Shed B", kind="(undefined)"), classic([8, 9, 10], columns=SECOND_COLUMNS)),
    ]
    assert "3 of 3 messages are readings" in theirs.run("produce", *map(str, paths)).stdout
    further = [
        {"ts": "2022-07-18T07:00:00Z", "pm25": 11, "created_at": "yesterday"},
        {"when": "2022-07-18T05:00:00Z", PM25_FIELD: 4},
    ]
    topic = Topic(site.settings["KAFKA_TOPIC"], broker.bootstrap_servers)
    topic.send([(b"45.5, -122.6", json.dumps(value).encode()) for value in further])
    theirs.run("materialize", *RANGE)
    both = "SELECT pm25_cf1, pm25_cf1_b FROM readings ORDER BY created_at"
    assert asked(site, both) == [(5, 8), (6, 9), (7, 10), (11, None)]
    assert asked(site, "SELECT reason FROM rejected_messages") == [("ts is missing",)]
    Site(site.folder, site.settings | {"KAFKA_FIELDS": "created_at=when"}).run("retry-rejected")
    assert asked(site, both) == [(4, None), (5, 8), (6, 9), (7, 10), (11, None)]


def test_materialize_and_status_say_what_became_of_the_messages_also_where_a_run_fails(
    site: Site, broker: EmbeddedBroker
) -> None:
    topic = Topic(site.settings["KAFKA_TOPIC"], broker.bootstrap_servers)
    topic.create()
    early = FIRST_WINDOW - timedelta(minutes=1)
    here = "45.5, -122.6"
    sent = [message(here, early, 5), message(here, FIRST_WINDOW, 6), message(here, FIRST_WINDOW, 7)]
    sent += [message(here, FIRST_WINDOW + timedelta(minutes=2), 8, RSSI_dbm="nan"), (b"x", sent[0][1]), (None, b"")] * 2
    topic.send(sent, partition=0)
    before = "1 reading in the store lies before AQI_FIRST_WINDOW, 2022-07-18T00:00, and will never be scored."
    behind = site.run("materialize", "--from", "2022-07-19", "--to", "2022-07-19", check=False)
    assert behind.stdout.splitlines() == [
        "Pulled 9 messages: 5 readings, 2 of them repeated, and 4 rejected.",
        'Rejected: key is missing (2), key is not the text "latitude, longitude" (2). '
        "The table rejected_messages has them.",
        "Left empty, because it cannot be read: RSSI_dbm (2).",
        before,
    ]
    assert "Materialize the range from 2022-07-18T00:00" in behind.stderr
    assert site.run("materialize", *RANGE).stdout.splitlines() == [
        "Nothing new in the topic.",
        before,
        "No window of the range holds an anomaly.",
    ]
    assert f"never scored            {before}" in site.run("status").stdout
