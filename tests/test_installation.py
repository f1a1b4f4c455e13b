"""The words for a shell that commands print can be pasted into one."""

import os
import shlex
import sys
from pathlib import Path

import pytest

from aqi_dagster.installation import own_command, read_env_file, shell_path


def test_a_path_is_one_word_for_a_shell_wherever_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "some where"
    here.mkdir()
    monkeypatch.chdir(here)
    assert shlex.split(shell_path(here / "a file")) == ["a file"]
    assert shlex.split(shell_path(tmp_path / "it's")) == [f"{tmp_path}/it's"]


def test_the_command_is_called_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "its programs" / "aqi-dagster"
    program.parent.mkdir()
    program.touch(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(program), "demo"])
    monkeypatch.setenv("PATH", "/usr/bin")
    assert shlex.split(own_command()) == ["its programs/aqi-dagster"]
    monkeypatch.setenv("PATH", str(program.parent))
    assert own_command() == "aqi-dagster"


def test_the_environment_has_the_say_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # Undone with the rest.
    monkeypatch.setenv("AQI_REGION", "of the environment")
    monkeypatch.setenv("AQI_RULES", "")
    monkeypatch.delenv("AQI_RULES")
    (tmp_path / ".env").write_text("AQI_REGION=of the file\nAQI_RULES=network\n")
    assert read_env_file() == f"Settings: from the environment, then from {tmp_path}/.env."
    assert (os.environ["AQI_REGION"], os.environ["AQI_RULES"]) == ("of the environment", "network")
