"""Stores of older releases whose migration is killed: each is as it was, or as a new one is, and opens again."""

import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

import pytest

from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.sql import Writer
from tests.support.released import STORES, contents, description, kept_columns, open_raw, store_id
from tests.support.store_processes import hear, process, tell

ONE_OF_EACH_VERSION = [*{path.name.split("_")[0]: path for path in STORES}.values()]

OPENS_AND_DIES = """
import os, signal

def count(frame, event, argument):
    global lines
    if "/pipeline/store/" not in frame.f_code.co_filename:
        return None
    if event == "line":
        lines += 1
        if lines == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
    return count

while order := listen():
    fatal, lines = int(order), 0
    if not (child := os.fork()):
        sys.settrace(count)
        with store.exclusive():
            sys.settrace(None)
        say(lines)
        os._exit(0)
    say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
"""Opens the store at every number it is told, and is killed before that line of the store's code; 0 kills never."""


@dataclass
class Trials:
    """Copies of a released store that are opened by a process which kills itself."""

    released: Store
    trial: Store
    process: Popen[str]

    def lines(self) -> int:
        """How many lines of the store's code it takes to open a copy, up to where the caller has the connection."""
        self._begin(0)
        count, status = int(hear(self.process)), int(hear(self.process))
        assert status == 0
        return count

    def killed_at(self, line: int) -> Store:
        """A copy whose opening was killed before that line."""
        self._begin(line)
        assert int(hear(self.process)) == -signal.SIGKILL
        return self.trial

    def _begin(self, line: int) -> None:
        shutil.rmtree(self.trial.private.parent, ignore_errors=True)
        shutil.copytree(self.released.private.parent, self.trial.private.parent)
        tell(self.process, str(line))


@pytest.fixture
def trials(released: Store, tmp_path: Path) -> Iterator[Trials]:
    """Trials with the released store."""
    folder = tmp_path / "trial"
    with process(OPENS_AND_DIES, folder) as doomed:
        yield Trials(released, Store(folder, lock_timeout=30.0), doomed)


@pytest.mark.parametrize("released", ONE_OF_EACH_VERSION, ids=store_id, indirect=True)
def test_a_store_killed_in_mid_migration_is_old_or_new(released: Store, fresh: Writer, trials: Trials) -> None:
    """Killed at lines that come ever closer to the one with which the old store becomes a new one."""
    with open_raw(released) as connection:
        old, shape = description(connection), kept_columns(connection)
        content = contents(connection, shape)
    new = description(fresh)
    still_old, already_new = 0, trials.lines() + 1
    while already_new - still_old > 1:
        line = (still_old + already_new) // 2
        with open_raw(trials.killed_at(line), read_only=False) as connection:
            found = description(connection)
            assert found in (old, new)
            assert contents(connection, shape) == content
        still_old, already_new = (line, already_new) if found == old else (still_old, line)
    for line in still_old, already_new:
        with trials.killed_at(line).exclusive() as connection:
            assert description(connection) == new
            assert contents(connection, shape) == content
