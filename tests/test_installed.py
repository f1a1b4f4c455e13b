"""The wheel, installed as a stranger does it: into folders with spaces, and where nothing of it can be written."""

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import requests
import yaml

from aqi_dagster.dagster_home import SETTINGS, shipped_settings
from aqi_dagster.windows import WINDOW_LENGTH, window_key
from tests.support.confined import bound_by_modes
from tests.support.messages import FIRST_WINDOW
from tests.support.package import build, install
from tests.support.ports import free_port
from tests.support.summer_file import DAYS
from tests.support.topics import Topic
from tests.support.waiting import LIMIT_SECONDS, wait_for

pytestmark = pytest.mark.long

INSTANCE = "{ instance { info } }"


@dataclass(frozen=True)
class Installation:
    """The programs of an environment, and a folder elsewhere from which they are called."""

    programs: Path
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the checkout, and no home whose folders could be written."""
        return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8"}

    def command(self, *arguments: str) -> list[str]:
        """``aqi-dagster`` with ``arguments``, as someone who may not write where it is installed."""
        return bound_by_modes([str(self.programs / "aqi-dagster"), *arguments])

    def run(self, *arguments: str, **settings: str) -> str:
        """What ``aqi-dagster`` prints; it must succeed."""
        finished = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment | settings,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Installation]:
    """The wheel in an environment whose files are read-only."""
    folder = tmp_path / "new machine"
    wheel, _ = build(folder)
    programs = install(wheel, "web", folder / "read only")
    here = folder / "some where else"
    here.mkdir()
    subprocess.run(["chmod", "-R", "a-w", folder / "read only"], check=True)
    try:
        yield Installation(programs, here)
    finally:
        subprocess.run(["chmod", "-R", "u+w", folder / "read only"], check=True)
        shutil.rmtree(folder / "read only")


def run_demo(installed: Installation) -> None:
    """The demo, and what its last lines say to do."""
    told = installed.run("demo")
    assert "0 windows named besides" in told
    kept = installed.folder / ".demo"
    assert (kept / "dagster" / SETTINGS).read_text() == shipped_settings()
    # Made once, where it can be written.
    assert [*(kept / "data" / "machine_code").rglob("*.nbi")]
    ask = next(line.partition(":")[2] for line in told.splitlines() if line.startswith("Ask it in SQL"))
    environment = installed.environment
    answer = subprocess.run(shlex.split(ask), cwd=installed.folder, env=environment, capture_output=True, text=True)
    assert "smoke" in answer.stdout, answer.stderr


def ask_status(installed: Installation) -> None:
    """What the demo left."""
    settings = {"AQI_DATA_DIR": ".demo/data", "DAGSTER_HOME": str(installed.folder / ".demo" / "dagster")}
    assert "151,200 of 25 sensors" in installed.run("status", KAFKA_TIMEOUT_SECONDS="1", **settings)
    assert "its dagster.yaml is that of this release" in installed.run("home", **settings)


def run_windows(installed: Installation, topic: Topic) -> None:
    """Windows of a topic, by the settings of a file."""
    site = replace(installed, folder=installed.folder / "own site")
    site.folder.mkdir()
    kafka = f"KAFKA_BOOTSTRAP_SERVERS={topic.servers}\nKAFKA_TOPIC={topic.name}\n"
    (site.folder / ".env").write_text(f"{kafka}AQI_REGION=Somewhere\n")
    last = window_key(FIRST_WINDOW + (2 * DAYS - 1) * WINDOW_LENGTH)
    told = site.run("materialize", "--from", window_key(FIRST_WINDOW), "--to", last)
    assert "Somewhere" in told
    assert "smoke" in told
    assert (site.folder / ".dagster" / SETTINGS).read_text() == shipped_settings()
    assert f"{144 * 25 * DAYS:,} of 25 sensors" in site.run("status")
    assert site.run("export", "sensors") == "sensors.parquet: 25 rows\n"


@contextmanager
def running(installed: Installation, *arguments: str, **settings: str) -> Iterator[None]:
    """A command that runs until the block ends."""
    with (installed.folder / "log").open("wb") as log:
        process = subprocess.Popen(
            installed.command(*arguments),
            cwd=installed.folder,
            env=installed.environment | settings,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(LIMIT_SECONDS)
            print((installed.folder / "log").read_text())


def serve_pages(installed: Installation, port: int, page_port: int) -> None:
    """Dagster's pages on the demo's data, and the settings that Dagster runs by."""
    graphql = f"http://127.0.0.1:{port}/graphql"

    def instance() -> dict[str, object]:
        answer = requests.post(graphql, json={"query": INSTANCE}, timeout=LIMIT_SECONDS)
        found: dict[str, object] = answer.json()["data"]["instance"]
        return found

    with running(installed, "dev", "--port", str(port), "--page-port", str(page_port)):
        settings = yaml.safe_load(str(wait_for("instance", instance)["info"]))
    assert settings["telemetry"] == {"enabled": False}
    assert settings["run_retries"] == {"enabled": True}
    assert settings["run_monitoring"]["enabled"] is True
    assert settings["concurrency"]["pools"] == {"default_limit": 1, "granularity": "op"}


def serve_page(installed: Installation, port: int) -> None:
    """The page for people on the demo's data, with the files that it consists of."""
    with running(installed, "web", "--port", str(port), AQI_DATA_DIR=".demo/data"):
        page = wait_for("page", lambda: requests.get(f"http://127.0.0.1:{port}/", timeout=LIMIT_SECONDS))
        style = requests.get(f"http://127.0.0.1:{port}/static/page.css", timeout=LIMIT_SECONDS)
    assert (page.status_code, style.status_code) == (200, 200)
    assert "Lake Tahoe" in page.text


def test_the_wheel_alone_gives_demo_pages_runs_and_status(installed: Installation, summer_topic: Topic) -> None:
    run_demo(installed)
    ask_status(installed)
    serve_pages(installed, free_port(), free_port())
    serve_page(installed, free_port())
    run_windows(installed, summer_topic)
