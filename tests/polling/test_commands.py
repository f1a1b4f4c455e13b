"""``aqi-dagster feed`` as a user runs it: what it says, what it costs, and that nobody sees the key."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.feeds.sensor_list import Sensor, SensorList
from aqi_dagster.polling.memory import memory_file
from tests.support.command_line import Site
from tests.support.feeds import sent
from tests.support.processes import with_descendants
from tests.support.purpleair_server import KEY, Device, Fault, PurpleAirServer, purpleair_server
from tests.support.topics import Topic
from tests.support.waiting import wait_for

BOX = ("--box", "46,-123,45,-122")


@pytest.fixture
def server() -> Iterator[PurpleAirServer]:
    with purpleair_server(*[Device(30_001 + number, 45.5 + number / 100) for number in range(3)]) as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, broker: EmbeddedBroker, server: PurpleAirServer) -> Site:
    settings = {
        **{"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers, "KAFKA_TOPIC": f"fed-{uuid4()}"},
        **{"PURPLEAIR_API_KEY": KEY, "PURPLEAIR_API_URL": server.url},
    }
    return Site(tmp_path, settings)


FEED = [sys.executable, "-m", "aqi_dagster.polling"]
"""What ``aqi-dagster feed`` becomes, without the imports of what it was."""


def fed(site: Site, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a feed with ``arguments`` in the site's folder; it must succeed if ``check``."""
    return site.run(*arguments, check=check, command=FEED)


def topic_of(site: Site) -> Topic:
    return Topic(site.settings["KAFKA_TOPIC"], site.settings["KAFKA_BOOTSTRAP_SERVERS"])


def test_once_says_what_it_costs_and_sends_what_is_there(site: Site, server: PurpleAirServer) -> None:
    finished = site.run("feed", "purpleair", *BOX, "--once", "--points-a-day", "1500")
    assert "3 sensors, asked every 26.7 minutes: at most 1,424 points a day, about $0.01" in finished.stderr
    assert "never more than 1,500" in finished.stderr
    assert "Asked every 10 minutes, as wanted, they would cost more than that." in finished.stderr
    assert "Data from PurpleAir (https://www.purpleair.com)" in finished.stderr
    assert sent(topic_of(site)) == server.served


def test_the_list_of_sensors_is_one_that_other_commands_read(site: Site, tmp_path: Path) -> None:
    listed = fed(site, "purpleair", *BOX, "--list").stdout
    assert listed.splitlines()[:2] == [
        "index,latitude,longitude,name,location_type",
        "30001,45.5,-122.6,Sensor 30001,0",
    ]
    (tmp_path / "sensors.csv").write_text(listed)
    read = SensorList()
    assert read.add(tmp_path / "sensors.csv") == 3
    assert read.by_index[30_002] == Sensor("45.51, -122.6", 30_002, "Sensor 30002", "0")


def test_history_asks_before_it_costs_anything_and_is_filled_once(site: Site, server: PurpleAirServer) -> None:
    command = ("history", "--indices", "30001,30002", "--from", "2026-11-01", "--to", "2026-11-02T12:00")
    refused = fed(site, *command, check=False)
    assert (
        "2 sensors, 2026-11-01 00:00:00 UTC to 2026-11-02 12:00:00 UTC: 2 requests of at most 2,602 points"
        in refused.stdout
    )
    assert refused.returncode == 1
    assert [path for path, _ in server.requests] == ["/sensors"]
    filled = fed(site, *command, "--yes")
    assert "Sent 432 readings" in filled.stdout
    assert "aqi-dagster materialize --from 2026-11-01T00:00 --to 2026-11-02T00:00" in filled.stdout
    assert "all of it was filled before" in fed(site, *command, "--yes").stdout
    assert sent(topic_of(site)) == server.served


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (("purpleair", *BOX), {"PURPLEAIR_API_KEY": ""}, "PURPLEAIR_API_KEY is not set"),
        (("purpleair", *BOX), {"PURPLEAIR_API_KEY": f"{KEY} {KEY}"}, "PURPLEAIR_API_KEY is no key"),
        (("purpleair", *BOX), {"PURPLEAIR_API_KEY": "WRONG-KEY-0123456"}, "403 ApiKeyInvalidError"),
        (("purpleair", *BOX), {"PURPLEAIR_API_URL": "http://api.purpleair.example"}, "must begin with https://"),
        (("purpleair",), {}, "Which sensors?"),
        (("purpleair", "--box", "45,-123,46,-122"), {}, "is no box"),
        (("purpleair", *BOX, "--points-a-day", "100"), {}, "do not suffice for once an hour"),
        (("local", "ftp://sensor"), {}, "is no address of a sensor"),
        (("run",), {}, "AQI_FEED is not set"),
        (("run",), {"AQI_FEED": "purpleair; purpleair"}, "each at most once"),
    ],
)
def test_what_cannot_begin_says_why_and_is_not_started_again(
    site: Site, arguments: tuple[str, ...], settings: dict[str, str], said: str
) -> None:
    finished = fed(Site(site.folder, site.settings | settings), *arguments, check=False)
    assert said in finished.stderr
    assert "Traceback" not in finished.stderr
    assert KEY not in finished.stderr
    assert "WRONG-KEY" not in finished.stderr
    assert finished.returncode == 78


def test_the_key_is_in_no_file_no_log_and_no_process_list(site: Site, server: PurpleAirServer) -> None:
    server.faults = [None, Fault(500), Fault(spoil=lambda text: f"{KEY}{text}")]
    with subprocess.Popen(
        [*FEED, "run"],
        cwd=site.folder,
        env=site.environment | {"AQI_FEED": f"purpleair {' '.join(BOX)}"},
        stderr=subprocess.STDOUT,
        stdout=(site.folder / "log").open("wb"),
    ) as process:
        try:
            wait_for("reading", lambda: server.served)
            lines = [Path(f"/proc/{one}/cmdline").read_bytes() for one in with_descendants(process.pid)]
        finally:
            process.send_signal(signal.SIGTERM)
    assert any(b"purpleair" in line for line in lines)
    assert [line for line in lines if KEY.encode() in line] == []
    files = [path for path in site.folder.rglob("*") if path.is_file()]
    assert memory_file(site.folder / "data", "purpleair") in files
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert server.keys[-1] == KEY
    assert all(KEY not in json.dumps([path, query]) for path, query in server.requests)


def test_a_feed_that_dies_is_started_again_and_ends_with_its_supervisor(site: Site, server: PurpleAirServer) -> None:
    with subprocess.Popen(
        [*FEED, "run"],
        cwd=site.folder,
        env=site.environment | {"AQI_FEED": f"purpleair {' '.join(BOX)}"},
        stderr=(site.folder / "log").open("wb"),
    ) as process:
        try:
            (feed,) = wait_for("feed", lambda: with_descendants(process.pid) - {process.pid})
            wait_for("reading", lambda: server.served)
            os.kill(feed, signal.SIGKILL)
            (again,) = wait_for("feed again", lambda: with_descendants(process.pid) - {process.pid, feed})
        finally:
            process.kill()
    wait_for("end of the feed", lambda: not Path(f"/proc/{again}").exists())
    assert "The feed purpleair died" in (site.folder / "log").read_text()


def test_a_feed_imports_none_of_what_a_run_needs() -> None:
    heavy = ("dagster", "duckdb", "pyarrow", "numpy", "numba", "matplotlib")
    program = f"import aqi_dagster.polling.commands, sys; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
