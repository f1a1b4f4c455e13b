"""Labels by the command line: marked, listed, exported, imported, outliving the store, and used to evaluate."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aqi_dagster.cli import main
from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.pipeline.health.judge_windows import judge_windows
from aqi_dagster.pipeline.regions.base import OneRegion
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.verdicts.classify_windows import classify_windows
from aqi_dagster.pipeline.verdicts.rule_sets import RULE_SETS
from aqi_dagster.windows import WindowRange, window_key
from tests.support.health import REGION_NAME, everywhere, report, window_at
from tests.support.messages import FIRST_WINDOW
from tests.support.tables import rows

BROKEN = "45.1, -122"
GOOD = ["45.2, -122", "45.3, -122", "45.4, -122"]
FLAT = {"PM1.0_CF1_ug/m3": "900", "PM10.0_CF1_ug/m3": "900"}
CLEAN, SMOKY, FAULTY, EMPTY = map(window_key, map(window_at, range(4)))
STORED = "SELECT window_start, region, sensor, truth, judged, note FROM labels ORDER BY ALL"

Command = Callable[..., Result]


def judge(store: Store, count: int = 3, rules: str = "network") -> None:
    """Clean air, then moderate smoke, then clean air beside a sensor whose laser has failed, all judged."""
    with store.exclusive() as connection:
        for number, pm25 in enumerate([5, 120, 6][:count]):
            report(connection, number, {sensor: pm25 + place for place, sensor in enumerate(GOOD)})
            report(connection, number, {BROKEN: 900 if number == 2 else pm25 + 3}, **(FLAT if number == 2 else {}))
        connection.execute("UPDATE windows SET scored = readings, revision = 1, selected = 1")
        windows = WindowRange(FIRST_WINDOW, window_at(count - 1))
        judge_windows(connection, windows, FIRST_WINDOW, everywhere, "regions")
        classify_windows(connection, windows, OneRegion(REGION_NAME), rules=RULE_SETS[rules])
    store.publish()


@pytest.fixture
def judged(tmp_path: Path) -> Store:
    store = Store(tmp_path / "data")
    judge(store)
    return store


@pytest.fixture
def command(judged: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Runs ``aqi-dagster`` with the arguments; it must succeed unless told otherwise."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AQI_DATA_DIR", str(judged.published.parent))
    monkeypatch.setenv("AQI_REGION", REGION_NAME)

    def run(*arguments: str, fails: bool = False) -> Result:
        result = CliRunner().invoke(main, arguments)
        assert (result.exit_code != 0) == fails, result.output
        return result

    return run


def labelled(store: Store) -> list[tuple[object, ...]]:
    with store.reader() as connection:
        return rows(connection, STORED)


def region(window: str, *mark: str) -> list[str]:
    return ["label", "--region", REGION_NAME, "--window", window, *mark]


def sensor(text: str, *mark: str, first: str = CLEAN, last: str = FAULTY) -> list[str]:
    return ["label", "--sensor", text, "--from", first, "--to", last, *mark]


def test_a_label_keeps_what_is_true_beside_what_was_judged(command: Command, judged: Store) -> None:
    told = command(*region(SMOKY, "--right", "--note", "saw it")).output
    assert "right" in told
    command(*region(CLEAN, "--wrong"))
    assert "wrong" in command(*region(FAULTY, "--smoke")).output
    command(*sensor(BROKEN, "--right"))
    command(*sensor(GOOD[0], "--broken", first=SMOKY, last=EMPTY))
    assert labelled(judged) == [
        (window_at(0), REGION_NAME, None, "smoke", "nothing", None),
        (window_at(0), None, BROKEN, "fine", "no fault", None),
        (window_at(1), REGION_NAME, None, "smoke", "smoke", "saw it"),
        (window_at(1), None, BROKEN, "fine", "no fault", None),
        (window_at(1), None, GOOD[0], "broken", "no fault", None),
        (window_at(2), REGION_NAME, None, "smoke", "malfunction", None),
        (window_at(2), None, BROKEN, "broken", "flat", None),
        (window_at(2), None, GOOD[0], "broken", "no fault", None),
    ]
    command(*region(CLEAN, "--right"))
    command(*sensor(GOOD[0], "--remove"))
    assert [row[3] for row in labelled(judged)] == ["no smoke", "fine", "smoke", "fine", "smoke", "broken"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (region(FAULTY, "--wrong"), "wrong in two ways: say --smoke"),
        (region(EMPTY, "--right"), "was never classified"),
        (region(CLEAN, "--broken"), "a sensor is --broken or --fine"),
        (region("2022-07-18T03:00", "--right"), "must be the start of a window"),
        (["label", "--region", "Tahoe", "--window", CLEAN, "--right"], f"it has {REGION_NAME}"),
        (sensor("45.10, -122", "--fine"), "There is no sensor '45.10, -122'"),
        (sensor(BROKEN, "--fine", first=EMPTY, last=EMPTY), "has no health of this sensor"),
        (sensor(BROKEN, "--fine", first=SMOKY, last=CLEAN), "is later than --to"),
        (["label", "--right", "--window", CLEAN], "either --region or --sensor"),
        (["label", "--region", REGION_NAME, "--window", CLEAN], "Say what is true"),
        (["evaluate", "--labels"], "Nothing that is stored is labelled"),
    ],
)
def test_what_cannot_be_labelled_is_refused_and_says_why(
    command: Command, judged: Store, arguments: list[str], told: str
) -> None:
    assert told in " ".join(command(*arguments, fails=True).output.split())
    assert labelled(judged) == []


def test_labels_outlive_a_store_that_is_made_anew(command: Command, judged: Store, tmp_path: Path) -> None:
    """The private store is gone, or an old backup of it is back: the copy of the labels beside it is pointed to."""
    command(*region(SMOKY, "--right"))
    backup = tmp_path / "backup.duckdb"
    shutil.copy(judged.private, backup)
    command(*sensor(BROKEN, "--right", first=FAULTY))
    everything = labelled(judged)
    shutil.copy(backup, judged.private)
    assert "1 that the store lacks" in command("label").output
    shutil.rmtree(judged.private.parent)
    judge(judged, count=2)
    listed = command("label").output
    file = judged.published.with_name("labels.json")
    assert f"2 that the store lacks, as it was restored or made anew: aqi-dagster label --import {file}" in listed
    # What is labelled meanwhile does not push the others out of the copy.
    command(*region(CLEAN, "--right"))
    told = command("label", "--import", str(file)).output
    assert "Imported 2 of 3 labels" in told
    assert f"1 of them are of windows of which nothing is stored, such as {BROKEN}, {FAULTY}" in told
    assert labelled(judged) == [(window_at(0), REGION_NAME, None, "no smoke", "nothing", None), *everything]
    assert "labels to import" not in command("label").output


def test_status_names_labels_of_what_is_judged_otherwise_now(
    command: Command, judged: Store, broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    command(*region(SMOKY, "--right"))
    command(*region(FAULTY, "--right"))
    with judged.exclusive() as connection:
        windows = WindowRange(FIRST_WINDOW, window_at(2))
        classify_windows(connection, windows, OneRegion(REGION_NAME), rules=RULE_SETS["notebook"])
    judged.publish()
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap_servers)
    told = command("status").output
    assert f"2; 2 of what is judged otherwise now, such as {REGION_NAME}, {SMOKY}: smoke then, nothing now" in told


def test_both_rule_sets_stand_beside_the_labels_of_the_own_store(command: Command) -> None:
    for arguments in (region(SMOKY, "--right"), region(CLEAN, "--right"), sensor(BROKEN, "--right")):
        command(*arguments)
    told = command("evaluate", "--labels").output
    table = [[*filter(None, map(str.strip, line.split("  ")))] for line in told.splitlines()]
    assert ["own labels", "network", "1 of 1", "1 of 1", "1 of 1", "1 of 1", "1 of 1", "1 of 1"] in table
    assert ["own labels", "notebook", "0 of 1", "0 of 0", "0 of 1", "0 of 0", "0 of 1", "0 of 0"] in table
    assert f"own labels, notebook rules, smoke windows missed: {REGION_NAME}, {SMOKY}" in told


def test_exported_labels_are_imported_elsewhere_unless_labelled_later_there(
    command: Command, judged: Store, tmp_path: Path
) -> None:
    command(*region(SMOKY, "--right", "--note", "first"))
    target = tmp_path / "labels.json"
    assert "Wrote 1 labels" in command("label", "--export", str(target)).output
    command(*region(SMOKY, "--wrong", "--note", "later"))
    assert "Imported 0 of 1" in command("label", "--import", str(target)).output
    assert [row[-1] for row in labelled(judged)] == ["later"]
    target.write_text(json.dumps({"labels": [{"window": CLEAN, "region": "a", "truth": "fine", "judged": "smoke"}]}))
    assert "holds no labels" in command("label", "--import", str(target), fails=True).output
