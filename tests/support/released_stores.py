"""Makes the stores of older releases that the tests migrate; no test runs this.

Call it where the whole history is, from the top of a clone whose packages are installed:

    python -m tests.support.released_stores a33d5fc 6778365
    python -m tests.support.released_stores --home /srv/aqi

The code of a release is taken from the history into a folder of its own and run there, by its own job, on the
embedded broker and against a server that stands for Slack. Every release gets the same messages. The second call makes
a DAGSTER_HOME with the command line of the newest release. Dagster's records hold the folder they were made in, so that
should be one that tells nothing about the machine; it must not exist, and is removed in the end.
"""

import argparse
import gzip
import io
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.windows import window_key
from tests.support.environment import forget_settings
from tests.support.places import TOP
from tests.support.released_readings import (
    BEFORE_THE_PAUSE,
    LATE,
    WINDOWS,
    messages_after_the_pause,
    messages_before_the_pause,
)
from tests.support.slack_server import slack_server
from tests.support.topics import Topic

RELEASES = {
    "a33d5fc": 1,
    "6778365": 1,
    "987e037": 1,
    "81234df": 1,
    "04c6121": 2,
    "7fadf89": 2,
    "e264341": 2,
    "8e54c8e": 2,
    "16fd7a1": 2,
    "3ce5f78": 3,
    "f783f78": 3,
    "5b36775": 5,
    "3b85c50": 11,
}
"""Commits after which the schema was another, and the last one of all, with the version that each gave it."""

READINGS_ONLY = {"a33d5fc"}
"""Releases whose pull fails at a message that is no reading."""

NEWEST = "f783f78"

STORES = TOP / "tests" / "store" / "released"

HOME = TOP / "tests" / "instance" / "released" / f"home_{NEWEST}.tar.xz"

_RUN_JOB = """
import sys
import dagster as dg
from aqi_dagster.definitions import defs
job, *span = sys.argv[1:]
tags = dict(zip(["dagster/asset_partition_range_start", "dagster/asset_partition_range_end"], span))
with dg.DagsterInstance.ephemeral() as instance:
    assert defs().resolve_job_def(job).execute_in_process(instance=instance, tags=tags).success
"""
"""Runs a job of any release for a range of windows; the first releases had no command line."""


@dataclass(frozen=True)
class Site:
    """The code of a release in a folder, what it keeps there, and the environment that its processes get."""

    folder: Path
    commit: str
    settings: dict[str, str]

    def check_out(self) -> None:
        """Lay the release's code into the folder."""
        archive = subprocess.run(["git", "archive", self.commit], cwd=TOP, check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(self.folder, filter="data")

    def python(self, *arguments: str) -> None:
        """Run Python with the release's code; it must succeed."""
        own = {"PYTHONPATH": str(self.folder), "AQI_DATA_DIR": str(self.data), "DAGSTER_HOME": str(self.home)}
        environment = os.environ | own | self.settings
        command = [sys.executable, *arguments]
        finished = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)
        assert finished.returncode == 0, finished.stderr

    @property
    def data(self) -> Path:
        """Where the release keeps its store."""
        return self.folder / "data"

    @property
    def home(self) -> Path:
        """Where Dagster keeps its records, where it keeps any."""
        return self.folder / "dagster"


def by_job(site: Site, job: str, *span: str) -> None:
    """Run a job of the release without keeping Dagster's records."""
    site.python("-c", _RUN_JOB, job, *span)


def by_command(site: Site, job: str, *span: str) -> None:
    """Run a job of the release as its command line does."""
    command = ["alert"] if job == "tell_slack" else ["materialize", "--from", span[0], "--to", span[1]]
    site.python("-c", "from aqi_dagster.cli import main; main()", *command)


def operate(folder: Path, commit: str, run: Callable[..., None]) -> Site:
    """Have the release run all windows as time goes by: two alerts are sent, and a third is left pending."""
    with EmbeddedBroker() as broker, slack_server() as slack:
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "SLACK_WEBHOOK_URL": slack.url,
            # The windows are old, and shall be told one by one all the same.
            "AQI_DIGEST_AFTER_HOURS": "87600",
        }
        site = Site(folder, commit, settings)
        site.check_out()
        topic = Topic("sensor_data", broker.bootstrap_servers)
        topic.create()
        topic.send(messages_before_the_pause(rejects=commit not in READINGS_ONLY))
        run(site, "micro_batch", window_key(WINDOWS[0]), window_key(WINDOWS[BEFORE_THE_PAUSE - 1]))
        run(site, "tell_slack")
        topic.send(messages_after_the_pause())
        first = next(start for start in reversed(WINDOWS) if start <= LATE)
        run(site, "micro_batch", window_key(first), window_key(WINDOWS[-1]))
    assert len(slack.payloads) == 2
    return site


def make_store(commit: str) -> None:
    """Write the store of the release into :data:`STORES`."""
    with tempfile.TemporaryDirectory() as folder:
        store = operate(Path(folder), commit, by_job).data / "private" / "store.duckdb"
        assert not store.with_name("store.duckdb.wal").exists()
        packed = gzip.compress(store.read_bytes(), 9, mtime=0)
    STORES.mkdir(exist_ok=True)
    (STORES / f"{RELEASES[commit]}_{commit}.duckdb.gz").write_bytes(packed)


def make_home(folder: Path) -> None:
    """Write what the newest release keeps, records and store, to :data:`HOME`."""
    folder.mkdir(parents=True)
    try:
        site = operate(folder, NEWEST, by_command)
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as tar:
            for part in site.home, site.data:
                tar.add(part, part.name, filter=_nameless)
    finally:
        shutil.rmtree(folder)
    HOME.parent.mkdir(exist_ok=True)
    # It finds what the store and its copy have in common, and the records of a run and of all runs.
    HOME.write_bytes(lzma.compress(content.getvalue(), preset=9 | lzma.PRESET_EXTREME))


def _nameless(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """``member`` without owner and time; locks, and the copy that only serves to make the next one, are left out."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return None if member.name.endswith((".lock", "spare.duckdb")) else member


def main() -> None:
    """Make the stores, or the home, that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commits", nargs="*", metavar="COMMIT", help="releases whose stores are to be made")
    parser.add_argument("--home", type=Path, help="make the DAGSTER_HOME of the newest release in this folder")
    arguments = parser.parse_args()
    if unknown := set(arguments.commits) - RELEASES.keys():
        parser.error(f"unknown releases: {', '.join(sorted(unknown))}")
    forget_settings()
    for commit in arguments.commits:
        make_store(commit)
    if arguments.home:
        make_home(arguments.home)


if __name__ == "__main__":
    main()
