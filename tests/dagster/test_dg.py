"""Dagster's own command for projects, `dg`, at the top of the checkout."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from aqi_dagster.dagster_home import shipped_settings
from tests.support.command_line import COMMAND, Site
from tests.support.micro_batch import ASSETS, KEYS, published
from tests.support.places import TOP
from tests.support.topics import Topic

DG = COMMAND.with_name("dg")

FIRST, LAST = KEYS[0], KEYS[2]

TABLES = ["scored_readings", "detector_states", "anomalies", "sensor_health", "regional_windows"]

pytestmark = pytest.mark.long


def site(folder: Path, topic: Topic) -> Site:
    """A new installation in ``folder`` on ``topic``."""
    (folder / "dagster").mkdir(parents=True)
    (folder / "dagster" / "dagster.yaml").write_text(shipped_settings())
    return Site(folder, {"KAFKA_BOOTSTRAP_SERVERS": topic.servers, "KAFKA_TOPIC": topic.name})


def dg(site: Site, *arguments: str) -> str:
    """What `dg` prints at the top of the checkout, with the settings of ``site``."""
    # It looks for its packages on PATH, as an activated environment has them.
    environment = site.environment | {"PATH": f"{DG.parent}{os.pathsep}{os.environ['PATH']}"}
    finished = subprocess.run([DG, *arguments], cwd=TOP, env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def test_dg_loads_the_definitions_and_lists_them(topic: Topic, tmp_path: Path) -> None:
    here = site(tmp_path, topic)
    assert "All definitions loaded successfully" in dg(here, "check", "defs")
    listed: dict[str, list[dict[str, Any]]] = json.loads(dg(here, "list", "defs", "--json"))
    assert {asset.key.to_user_string() for asset in ASSETS} < {asset["asset_key"] for asset in listed["assets"]}
    assert {job["name"] for job in listed["jobs"]} >= {"micro_batch", "tell_slack", "look_now"}


def test_dg_launches_a_range_of_windows_as_our_own_command_does(summer_topic: Topic, tmp_path: Path) -> None:
    by_dg, by_command = site(tmp_path / "dg", summer_topic), site(tmp_path / "command", summer_topic)
    dg(by_dg, "launch", "--job", "micro_batch", "--partition-range", f"{FIRST}...{LAST}")
    by_command.run("materialize", "--from", FIRST, "--to", LAST)
    tables = published(by_dg.folder / "data", TABLES)
    assert tables == published(by_command.folder / "data", TABLES)
    assert tables["scored_readings"]
    assert tables["regional_windows"]
