"""The folder of Dagster's records gets the settings that this release brings, and keeps its own."""

import logging
import re
from pathlib import Path

import dagster as dg
import pytest

from aqi_dagster.dagster_home import SETTINGS, differences, shipped_settings, use_dagster_home
from aqi_dagster.definitions import defs
from aqi_dagster.errors import ConfigurationError
from tests.support.command_line import Site


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """DAGSTER_HOME, a folder that does not exist."""
    folder = tmp_path / "a home" / "dagster"
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    return folder


def test_a_new_home_gets_the_settings_that_dagster_then_runs_by(home: Path) -> None:
    assert use_dagster_home() == home
    assert [path.name for path in home.iterdir()] == [SETTINGS]
    with dg.DagsterInstance.get() as instance:
        assert not instance.telemetry_enabled
        assert instance.run_retries_enabled
        assert instance.run_monitoring_enabled
        assert instance.global_op_concurrency_default_limit == 1


def test_a_home_keeps_its_own_settings_and_is_told_what_is_new(home: Path) -> None:
    use_dagster_home()
    own = shipped_settings().replace("max_concurrent_runs: 4", "max_concurrent_runs: 2")
    assert own != shipped_settings()
    (home / SETTINGS).write_text(own)
    use_dagster_home()
    assert (home / SETTINGS).read_text() == own
    changed = [line for line in differences(home).splitlines() if not line.startswith(("---", "+++", "@@"))]
    assert changed == ["-    max_concurrent_runs: 2", "+    max_concurrent_runs: 4"]


def test_a_home_that_cannot_be_made_is_told(home: Path) -> None:
    home.parent.write_text("no folder")
    with pytest.raises(ConfigurationError, match=re.escape(f"DAGSTER_HOME={home}")):
        use_dagster_home()


def test_without_a_variable_it_lies_in_the_present_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    # What the function sets is undone with the rest.
    monkeypatch.setenv("DAGSTER_HOME", "")
    assert use_dagster_home() == tmp_path / ".dagster"


@pytest.mark.parametrize("made", [False, True])
def test_a_dagster_that_was_started_without_settings_is_told(
    home: Path, made: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if made:
        use_dagster_home()
    else:
        home.mkdir(parents=True)
    with caplog.at_level(logging.WARNING, "aqi_dagster.dagster_home"):
        defs()
    told = [record.getMessage() for record in caplog.records if record.name == "aqi_dagster.dagster_home"]
    assert [f"DAGSTER_HOME={home} holds no dagster.yaml" in message for message in told] == [True] * (not made)


def test_commands_say_where_their_settings_come_from(tmp_path: Path) -> None:
    site = Site(tmp_path)
    told = site.run("home")
    assert f"there is no {tmp_path}/.env" in told.stderr
    assert f"DAGSTER_HOME={tmp_path}/dagster: its dagster.yaml is that of this release." in told.stdout
    (tmp_path / ".env").write_text(site.run("settings").stdout)
    told = site.run("status", check=False)
    assert f"then from {tmp_path}/.env" in told.stderr
    assert "There is no published copy" in told.stderr
