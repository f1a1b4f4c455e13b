"""What operators record of a sensor by the command line, and what health and verdicts make of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from aqi_dagster.cli import main
from aqi_dagster.pipeline.health.health_table import SensorHealth, read_health
from aqi_dagster.pipeline.health.judge_windows import judge_windows
from aqi_dagster.pipeline.health.sensors_to_judge import all_outdated_health, regions_hash, sensors_to_judge
from aqi_dagster.pipeline.regions.base import OneRegion
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.outdated import OutdatedHealth
from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.pipeline.verdicts.classify_windows import classify_windows
from aqi_dagster.pipeline.verdicts.rule_sets import RULE_SETS
from aqi_dagster.windows import WindowRange, window_key
from tests.support.health import REGION_NAME, report, window_at
from tests.support.messages import FIRST_WINDOW
from tests.support.tables import rows

ODD, GOOD = "45.1, -122", ["45.2, -122", "45.3, -122", "45.4, -122"]
FLAT = {"PM1.0_CF1_ug/m3": "900", "PM10.0_CF1_ug/m3": "900"}
REGION = OneRegion(REGION_NAME)
COUNT = 8
KEYS = [window_key(window_at(number)) for number in range(COUNT)]

Command = Callable[..., str]


@pytest.fixture
def command(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Runs ``aqi-dagster sensor`` of the odd sensor and returns what it prints; it must succeed unless it ``fails``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AQI_DATA_DIR", str(store.published.parent))

    def run(*arguments: str, name: str = ODD, fails: bool = False) -> str:
        result = CliRunner().invoke(main, ["sensor", name, *arguments])
        assert (result.exit_code != 0) == fails, result.output
        return " ".join(result.output.split())

    return run


def take_in(store: Store, odd: str) -> None:
    """Good sensors at 30, and the odd one as each mark says: as they do, x failed, or v at a tenth; all is judged."""
    with store.exclusive() as connection:
        for number, mark in enumerate(odd):
            report(connection, number, {sensor: 30 + place for place, sensor in enumerate(GOOD)})
            level = {".": 31, "x": 900, "v": 3}[mark]
            report(connection, number, {ODD: level}, **(FLAT if mark == "x" else {}))
        connection.execute("UPDATE windows SET scored = readings, revision = 1, selected = 1")
        judge(connection, 0, len(odd) - 1)


def judge(connection: Writer, first: int, last: int, rules: str = "network") -> None:
    windows = WindowRange(window_at(first), window_at(last))
    judge_windows(connection, windows, FIRST_WINDOW, sensors_to_judge(connection, REGION), regions_hash(REGION))
    classify_windows(connection, windows, REGION, rules=RULE_SETS[rules])


def outdated(connection: Writer) -> OutdatedHealth:
    return all_outdated_health(connection, FIRST_WINDOW, REGION)


def odd_in(connection: Writer, number: int) -> SensorHealth:
    (row,) = [row for row in read_health(connection, window_at(number)) if row.sensor == ODD]
    return row


def verdicts(connection: Writer) -> list[tuple[object, ...]]:
    return rows(connection, "SELECT window_start, verdict FROM regional_windows ORDER BY ALL")


def test_an_excluded_sensor_has_no_part_in_verdicts_and_what_it_had_is_named(store: Store, command: Command) -> None:
    take_in(store, "..xx")
    told = command("--exclude", "--since", KEYS[3], "--reason", "hangs in a kitchen")
    assert "hangs in a kitchen" in told
    assert "`aqi-dagster status` names the range" in told
    with store.exclusive() as connection:
        assert outdated(connection) == OutdatedHealth(0, 0, 0, WindowRange(window_at(3), window_at(3)), 0, 1)
        judge(connection, 3, 3)
        assert outdated(connection) == OutdatedHealth(0, 0, 0, None)
        row = odd_in(connection, 3)
        assert (row.region, row.fault, row.reason) == (None, None, "Is excluded: hangs in a kitchen.")
        assert verdicts(connection) == [(window_at(2), "malfunction")]
    assert "Nothing is recorded" in command("--forget")
    with store.exclusive() as connection:
        judge(connection, 3, 3)
        assert verdicts(connection) == [(window_at(2), "malfunction"), (window_at(3), "malfunction")]


def test_a_sensor_known_to_be_broken_has_no_vote_is_named_and_told_once(store: Store, command: Command) -> None:
    """It looks sound, fails, and looks sound again meanwhile; after that it is well."""
    take_in(store, "..x.....")
    with store.exclusive() as connection:
        connection.execute("DELETE FROM slack_alerts")
    command("--broken-until", KEYS[5], "--since", KEYS[1], "--reason", "insect")
    with store.exclusive() as connection:
        assert outdated(connection).windows == WindowRange(window_at(1), window_at(7))
        judge(connection, 1, 7)
        assert outdated(connection) == OutdatedHealth(0, 0, 0, None)
        assert [odd_in(connection, number).fault for number in range(8)] == [
            None, "known", "flat", "known", "known", None, None, None
        ]  # fmt: skip
        assert odd_in(connection, 3).reason == f"Is known to be broken until {KEYS[5].replace('T', ' ')}: insect."
        assert not odd_in(connection, 3).is_healthy
        events = "SELECT window_start, verdict FROM slack_alerts WHERE kind = 'sensor' ORDER BY ALL"
        assert rows(connection, events) == [(window_at(1), "broken"), (window_at(6), "well")]


def test_the_history_of_a_repaired_sensor_begins_anew(store: Store, command: Command) -> None:
    """It is at a tenth of its neighbours for six windows, then its laser fails."""
    take_in(store, "vvvvvvx.")
    with store.exclusive() as connection:
        assert (odd_in(connection, 5).unlike_neighbours, odd_in(connection, 7).on_probation) == (True, True)
    command("--repaired", "--since", KEYS[7], "--reason", "new laser")
    with store.exclusive() as connection:
        last = WindowRange(window_at(7), window_at(7))
        assert outdated(connection) == OutdatedHealth(0, 0, 0, last, troubled_sensors=1)
        judge(connection, 7, 7)
        row = odd_in(connection, 7)
        assert (row.is_healthy, row.is_new, row.repaired_at) == (True, False, window_at(7))
    command("--repaired", "--since", KEYS[5])
    with store.exclusive() as connection:
        judge(connection, 5, 7)
        assert odd_in(connection, 5).is_healthy
        assert outdated(connection) == OutdatedHealth(0, 0, 0, None)


@pytest.mark.parametrize("trouble", [["--exclude"], ["--broken-until", KEYS[3]]])
def test_known_trouble_has_no_part_in_the_verdicts_of_the_notebook_rules(
    store: Store, command: Command, trouble: list[str]
) -> None:
    take_in(store, "..")
    with store.exclusive() as connection:
        connection.execute("INSERT INTO anomalies VALUES (?, $2, $2, 900, 0.9)".replace("?", "$1"), [ODD, window_at(1)])
        judge(connection, 0, 1, "notebook")
        assert verdicts(connection) == [(window_at(1), "malfunction")]
    command(*trouble, "--since", KEYS[1])
    with store.exclusive() as connection:
        judge(connection, 1, 1, "notebook")
        assert verdicts(connection) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--broken-until", KEYS[1], "--since", KEYS[1]], "is not after the first window"),
        (["--broken-until", KEYS[1], "--exclude"], "one thing at a time"),
        (["--exclude", "--since", "2022-07-18T01:00"], "must be the start of a window"),
    ],
)
def test_what_cannot_be_recorded_is_refused(store: Store, command: Command, arguments: list[str], told: str) -> None:
    take_in(store, ".")
    assert told in command(*arguments, fails=True)
    assert "There is no sensor '-33.9, 151.2'" in command("--exclude", name="-33.9, 151.2", fails=True)
    assert "Nothing is recorded" in command()
