"""A copy of the checkout in which one change after the other is made, and a room's tests are run."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from tests.mutants.mutant import PIPELINE, Mutant
from tests.support.places import TOP

LEAST_SECONDS, FACTOR = 60.0, 5.0
"""A change may make tests slower by this factor, and they may take this long in any case, before they are stopped."""

_OUTCOMES = {0: "passed", 1: "failed", 5: "empty"}
"""What pytest returns; other numbers say that it could not run the tests."""


@dataclass(frozen=True)
class Trial:
    """What came of a run of tests: ``outcome`` (passed, failed, stopped, empty or broken), and by which test."""

    outcome: str
    told: str
    seconds: float


def copy_checkout(folder: Path) -> None:
    """Copy what git knows of the checkout into ``folder``, and link what is beside it."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(TOP / name, folder / name)
    jars, shared = TOP / "tests" / "kafka" / "jars", TOP.parent / "shared"
    if jars.exists():
        (folder / "tests" / "kafka" / "jars").symlink_to(jars)
    if shared.exists():
        (folder.parent / "shared").symlink_to(shared)


class Bench:
    """A checkout in ``folder`` that nobody else uses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def unchanged(self, room: str) -> Trial:
        """Run the room's tests on the code as it is."""
        return self._run(["-x", *chain(*self._tests_of(room))], None)

    def changed(self, mutant: Mutant, usual_seconds: float) -> Trial:
        """Run its room's tests on the code with one change, up to the first that fails."""
        file = self._folder / mutant.file
        before = file.read_text()
        file.write_text(mutant.text)
        limit = max(LEAST_SECONDS, FACTOR * usual_seconds)
        started = time.monotonic()
        try:
            for tests in self._tests_of(mutant.room, mutant.file):
                trial = self._run(["-x", *tests], limit)
                if trial.outcome not in ("passed", "empty"):
                    break
        finally:
            file.write_text(before)
        seconds = time.monotonic() - started
        if trial.outcome == "empty":
            # The room's last run may be without a test: its examples alone.
            trial = replace(trial, outcome="passed")
        if trial.outcome == "broken" and self._run(["--collect-only", *tests], None).outcome == "passed":
            # Without the change they can be run: so it is the change that keeps them from it.
            return Trial("failed", f"no test can be run: {trial.told}", seconds)
        return replace(trial, seconds=seconds)

    def _tests_of(self, room: str, module: Path | None = None) -> list[list[str]]:
        """The room's tests as two runs: the files that name ``module``; the others, and the examples in the code."""
        files = sorted((self._folder / "tests" / room).glob("test_*.py"))
        name = module and (module.stem if module.suffix == ".py" else module.name)
        first = [file for file in files if name and name in file.read_text()]
        runs = [first, [*(file for file in files if file not in first), self._folder / PIPELINE / room]]
        return [[str(file.relative_to(self._folder)) for file in run] for run in runs if run]

    def _run(self, arguments: list[str], limit: float | None, retry: bool = True) -> Trial:
        """Run pytest in the copy, again if a signal ended it; what it started ends with it, or after ``limit`` s."""
        # Compiled modules are told apart by size and second: a change could go unnoticed.
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "not long", "--tb=line", *arguments]
        started = time.monotonic()
        with subprocess.Popen(
            command,
            cwd=self._folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as running:
            try:
                text, _ = running.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                return Trial("stopped", f"after {limit:.0f} s", time.monotonic() - started)
            finally:
                _end_group(running.pid)
        seconds = time.monotonic() - started
        if running.returncode < 0 and retry:
            # A library crashed, which may be by chance.
            return self._run(arguments, limit, retry=False)
        told = [line for line in text.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        told = told or [f"status {running.returncode}: {' '.join(text.splitlines()[-1:])}"]
        outcome = _OUTCOMES.get(running.returncode, "broken")
        return Trial(outcome, "" if outcome == "passed" else " ".join(told[:1]), seconds)


def _end_group(process: int) -> None:
    """End the group of a process that led one: a test that fails may leave a broker."""
    try:
        os.killpg(process, signal.SIGKILL)
    except ProcessLookupError:
        return
