"""The command line's answers to what users get wrong, and the broker in the foreground."""

import shlex
import signal
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import click
import pytest

from aqi_dagster import commands
from aqi_dagster.cli import COMMANDS, main
from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, window_key
from tests.support.command_line import COMMAND, Site
from tests.support.messages import FIRST_WINDOW, message, reject
from tests.support.summer_file import DAYS, SUMMER
from tests.support.tables import rows
from tests.support.topics import Topic
from tests.support.waiting import LIMIT_SECONDS
from tests.support.window_readings import SPOILT


@pytest.fixture
def site(tmp_path: Path, broker: EmbeddedBroker) -> Site:
    return Site(tmp_path, {"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers, "KAFKA_TOPIC": "unmade"})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["materialize", "--from", "yesterday", "--to", "2022-07-18"], "'yesterday'"),
        (["materialize", "--from", "2022-07-18T03:00", "--to", "2022-07-18"], "must be the start of a window"),
        (["materialize", "--from", "2022-07-19", "--to", "2022-07-18"], "is later than --to"),
        (["materialize", "--from", "2020-07-18", "--to", "2022-07-18"], "AQI_FIRST_WINDOW"),
        (["status"], "There is no published copy"),
        (["produce"], "Name at least one file"),
    ],
)
def test_a_wrong_call_says_what_is_wrong_without_a_traceback(site: Site, arguments: list[str], told: str) -> None:
    finished = site.run(*arguments, check=False)
    assert finished.returncode != 0
    assert told in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_port_that_is_taken_is_told_before_anything_starts(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        finished = site.run("dev", "--port", str(port), "--page-port", "0", check=False)
    assert finished.returncode == 1
    assert f"Port {port} of 127.0.0.1 cannot be had" in finished.stderr
    assert f"aqi-dagster dev --port {port + 1}" in finished.stderr
    assert "dagster" not in finished.stdout


def test_a_run_that_fails_tells_its_cause_and_exits_with_an_error(site: Site) -> None:
    finished = site.run("materialize", "--from", "2022-07-18", "--to", "2022-07-18", check=False)
    assert finished.returncode == 1
    assert "readings: " in finished.stderr
    assert "has no topic 'unmade'" in finished.stderr


def test_a_wrong_setting_is_refused_by_name(site: Site) -> None:
    wrong = Site(site.folder, site.settings | {"AQI_SCORE_THRESHOLD": "2"})
    finished = wrong.run("status", check=False)
    assert finished.returncode == 1
    assert "AQI_SCORE_THRESHOLD='2'" in finished.stderr


def test_settings_are_read_from_the_file_env(site: Site) -> None:
    (site.folder / ".env").write_text("AQI_PM25_THRESHOLD=much\n")
    assert "AQI_PM25_THRESHOLD='much'" in site.run("status", check=False).stderr


def test_a_misspelt_setting_is_told_on_the_command_line(site: Site) -> None:
    (site.folder / ".env").write_text("AQI_FIRST_WINDOWS=2022-07-18\n")
    told = site.run("materialize", "--from", "2022-07-18", "--to", "2022-07-18", check=False).stderr
    assert told.count("AQI_FIRST_WINDOWS is set, but is no setting: did you mean AQI_FIRST_WINDOW?") == 1


def test_the_newest_window_alone_is_refused_with_the_range_that_gives_its_verdict(
    tmp_path: Path, summer_topic: Topic
) -> None:
    """On an empty store; the last window of these days is smoke."""
    site = Site(tmp_path, {"KAFKA_BOOTSTRAP_SERVERS": summer_topic.servers, "KAFKA_TOPIC": summer_topic.name})
    windows = [*WindowRange(FIRST_WINDOW, FIRST_WINDOW + (2 * DAYS - 1) * WINDOW_LENGTH)]
    first, newest = window_key(windows[0]), window_key(windows[-1])
    refused = site.run("materialize", "--from", newest, "--to", newest, check=False)
    assert refused.returncode == 1
    assert f"Materialize the range from {first} to {newest} in one run" in refused.stderr
    told = site.run("status").stdout
    assert f"{first} to {newest} ({144 * 25 * DAYS:,} readings were never scored)" in told
    printed = site.run("materialize", "--from", first, "--to", newest).stdout
    expected = SUMMER.expected_verdicts(windows[-1] + WINDOW_LENGTH)
    assert [(verdict in printed, str(start) in printed) for start, verdict in expected.items()] == [(True, True)] * len(
        expected
    )
    assert "never scored" not in site.run("status").stdout


def test_rejected_messages_are_taken_again_once(tmp_path: Path) -> None:
    site = Site(tmp_path)
    assert "There is no store at" in site.run("retry-rejected", check=False).stderr
    store = Store(tmp_path / "data")
    sound = [message("45.1, -122", FIRST_WINDOW + timedelta(minutes=number), number) for number in range(20)]
    with store.exclusive() as writer:
        reject(writer, [*sound, SPOILT])

    def numbers() -> dict[str, str]:
        table = site.run("retry-rejected").stdout.partition("\n\n")[0]
        return {line[:20].strip(): line.split()[-1] for line in table.splitlines()}

    words = "decoded again", "readings now", "repeated among them", "still rejected"
    assert numbers() == dict(zip(words, ("21", "20", "0", "1"), strict=True))
    with store.reader() as copy:
        found = rows(copy, "SELECT kafka_offset, pm25_cf1 FROM readings ORDER BY ALL")
        assert found == [(number, float(number)) for number in range(20)]
        assert rows(copy, "SELECT kafka_offset FROM rejected_messages") == [(20,)]
    assert numbers() == dict(zip(words, ("1", "0", "0", "1"), strict=True))
    with store.reader() as copy:
        assert rows(copy, "SELECT kafka_offset, pm25_cf1 FROM readings ORDER BY ALL") == found


def test_the_broker_prints_its_address_and_ends_on_interrupt(tmp_path: Path, unused_port: int) -> None:
    process = subprocess.Popen(
        [COMMAND, "broker", "--port", str(unused_port)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        # A shell's background process ignores interrupts, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stdout is not None
        assert f"127.0.0.1:{unused_port}" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT_SECONDS) == 0
    finally:
        process.kill()
        process.communicate()


def test_the_demo_runs_a_newcomers_own_files(tmp_path: Path) -> None:
    folder = tmp_path / "downloads"
    folder.mkdir()
    rows = [f"2022-07-{18 + n // 1440:02d} {n // 60 % 24:02d}:{n % 60:02d}:00 UTC" for n in range(0, 4320, 2)]
    spikes = range(1000, 1004)
    lines = [f"{time},{n},{900 if n in spikes else 3 + n % 5},\n" for n, time in enumerate(rows)]
    name = "Somewhere (outside) (38.75 -120.93) Primary Real Time 07_01_2022 09_18_2022.csv"
    (folder / name).write_text("created_at,entry_id,PM2.5_CF1_ug/m3,\n" + "".join(lines))
    site = Site(tmp_path)
    told = site.run("demo", str(folder)).stdout
    assert "2022-07-19 00:00" in told or "2022-07-19 12:00" in told
    assert "malfunction" in told
    assert "1 older window classified" in told
    ask = next(line.partition(":")[2] for line in told.splitlines() if line.startswith("Ask it in SQL"))
    answer = subprocess.run(shlex.split(ask), cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "verdict" in answer
    assert "malfunction" in answer


def test_each_command_is_what_its_module_calls_it() -> None:
    context = click.Context(main)
    modules = {path.stem.replace("_", "-") for path in Path(commands.__file__).parent.glob("*.py")}
    assert modules - {"--init--", "options"} == set(COMMANDS)
    commands_by_name = {name: main.get_command(context, name) for name in main.list_commands(context)}
    assert {name: command.name for name, command in commands_by_name.items() if command} == {
        name: name for name in COMMANDS
    }


def test_status_begins_without_what_only_runs_need(tmp_path: Path) -> None:
    store = Store(tmp_path / "data")
    with store.exclusive() as writer:
        reject(writer, [message("45.1, -122", FIRST_WINDOW, 1)])
    store.publish()
    code = (
        "import sys; from aqi_dagster.cli import main; main(['status'], standalone_mode=False);"
        "print('imported:', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    settings = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "KAFKA_TIMEOUT_SECONDS": "1"}
    told = Site(tmp_path, settings).run(command=[sys.executable, "-c", code]).stdout
    imported = set(told.rpartition("imported:")[2].split())
    assert {"duckdb", "aqi_dagster"} <= imported
    heavy = {"dagster", "river", "scipy", "numba", "matplotlib", "geopy", "reverse_geocode", "shapely", "sqlalchemy"}
    assert heavy & imported == set()
