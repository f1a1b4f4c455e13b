"""What is left out of Dagster's output, and that nothing else is."""

import logging
import warnings
from pathlib import Path

import pytest

from aqi_dagster import foreign_warnings

DAGSTER, DAEMON = "dagster", "dagster.daemon.EventLogConsumerDaemon"

IGNORED_FILE = "Found ... (dagster.yaml) in the current folder ... will not be used to configure Dagster unless ..."


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The present folder and DAGSTER_HOME; both have the same settings of the instance."""
    here, home = tmp_path / "here", tmp_path / "home"
    for folder in (here, home):
        folder.mkdir()
        (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.chdir(here)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    return here, home


@pytest.fixture(autouse=True)
def left_out() -> None:
    foreign_warnings.leave_out_log_lines()


def test_lines_that_nobody_can_act_on_are_left_out(
    folders: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger(DAGSTER).warning(IGNORED_FILE)
    logging.getLogger(DAEMON).warning("No cursor for event type %s, ignoring older events", "RUN_FAILURE")
    assert caplog.messages == []
    logging.getLogger(DAGSTER).warning("dagster-webserver process did not terminate cleanly")
    logging.getLogger(DAEMON).warning("Invalid cursor for event_type RUN_FAILURE")
    assert len(caplog.messages) == 2


def test_settings_that_differ_from_those_in_use_are_told(
    folders: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    here, _ = folders
    (here / "dagster.yaml").write_text("telemetry: {enabled: true}\n")
    logging.getLogger(DAGSTER).warning(IGNORED_FILE)
    assert caplog.messages == [IGNORED_FILE]


def test_a_home_without_settings_does_not_keep_the_line_back(
    folders: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    _, home = folders
    (home / "dagster.yaml").unlink()
    logging.getLogger(DAGSTER).warning(IGNORED_FILE)
    assert caplog.messages == [IGNORED_FILE]


def test_what_a_developer_asks_of_warnings_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "error::ResourceWarning")
    first, *others = foreign_warnings.environment()["PYTHONWARNINGS"].split(",")
    assert first == "error::ResourceWarning"
    assert others == [f"ignore:{message}" for message in foreign_warnings.PYTHON_WARNINGS]


def test_other_warnings_are_shown() -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        foreign_warnings.leave_out_python_warnings()
        for message in [*foreign_warnings.PYTHON_WARNINGS, "Function `other_command` is superseded"]:
            warnings.warn(f"{message} and more", stacklevel=1)
    assert [str(warning.message) for warning in shown] == ["Function `other_command` is superseded and more"]
