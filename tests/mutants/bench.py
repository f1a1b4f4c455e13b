"""A copy of the checkout in which one change after the other is made, and tests of its room are run."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate, chain
from math import inf
from pathlib import Path

from tests.mutants.choice import WatchedTest, choose
from tests.mutants.mutant import PIPELINE, Mutant
from tests.support.places import TOP

LEAST_SECONDS, FACTOR = 120.0, 10.0
"""A change may make tests slower by this factor, and they may take this long in any case, before they are stopped."""

SLOW_SECONDS = 1.0
"""A test that takes longer may fail because the machine is busy: its failure counts if it passes without the change."""

FURTHER_TESTS = {
    "store": ["tests/test_aqi.py", "tests/test_changed_settings.py", "tests/test_lacking_windows.py"],
    "health": ["tests/test_known_trouble.py"],
    "verdicts": ["tests/test_labels.py", "tests/alerts/test_attempts.py", "tests/alerts/test_dispatch.py"],
}
"""Tests of a room's modules that do not stand in its own folder, since they need what is above it."""

_PLUGINS = Path(__file__).parent / "plugins"

_OUTCOMES = {0: "passed", 1: "failed", 5: "empty"}
"""What pytest returns; other numbers say that it could not run the tests."""


@dataclass(frozen=True)
class Trial:
    """What came of a run of tests: ``outcome`` (passed, failed, stopped, empty or broken), and by which test."""

    outcome: str
    told: str
    seconds: float


def copy_checkout(folder: Path) -> None:
    """Copy what git knows of the checkout into ``folder``, what is compiled of it, too, and link what is beside it."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (TOP / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, folder / name)
    # Compiled modules are told from outdated ones by size and time of their source, which are copied as well.
    for compiled in chain.from_iterable((TOP / part).rglob("__pycache__/*.pyc") for part in ("aqi_dagster", "tests")):
        target = folder / compiled.relative_to(TOP)
        if target.parent.parent.exists():
            target.parent.mkdir(exist_ok=True)
            shutil.copy2(compiled, target)
    jars, shared = TOP / "tests" / "kafka" / "jars", TOP.parent / "shared"
    if jars.exists():
        (folder / "tests" / "kafka" / "jars").symlink_to(jars)
    if shared.exists():
        (folder.parent / "shared").symlink_to(shared)


class Bench:
    """A checkout in ``folder`` that nobody else uses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def unchanged(self, room: str, notes: Path) -> Trial:
        """Run the room's tests on the code as it is, and write into ``notes`` what each of them calls."""
        return self._run(["-x", f"--note-calls={notes}", *self._tests_of(room)], None, compiles=True)

    def changed(self, mutant: Mutant, tests: Sequence[WatchedTest], most_seconds: float = inf) -> Trial:
        """Run those of the room's ``tests`` that call what is changed, on the code with one change, up to a failure.

        Of these, the quickest that take ``most_seconds`` together, as they were noted.

        A change counts as noticed if a test fails that passes without it. What is stopped for taking too long counts
        only if the same tests, without the change, take a third of that at most.
        """
        chosen = choose(mutant, tests, self._folder)
        taken = accumulate(test.seconds for test in chosen)
        chosen = [test for test, seconds in zip(chosen, taken, strict=True) if seconds <= most_seconds] or chosen[:1]
        limit = max(LEAST_SECONDS, FACTOR * sum(test.seconds for test in chosen))
        with self._with_change(mutant):
            trial = self._run_chosen([test.name for test in chosen], limit)
        if trial.outcome == "empty":
            return replace(trial, outcome="passed")
        if trial.outcome == "broken" and self._run_chosen([test.name for test in chosen], None).outcome == "passed":
            # Without the change they can be run: so it is the change that keeps them from it.
            return replace(trial, outcome="failed", told=f"no test can be run: {trial.told}")
        if trial.outcome == "stopped":
            usual = self._run_chosen([test.name for test in chosen], limit / 3)
            return trial if usual.outcome == "passed" else replace(trial, outcome="broken", told="the machine is busy")
        if trial.outcome == "failed":
            slow = [test.name for test in chosen if test.name in trial.told and test.seconds > SLOW_SECONDS]
            if slow and self._run_chosen(slow, None).outcome != "passed":
                return replace(trial, outcome="broken", told=f"fails without the change, too: {trial.told}")
        return trial

    @contextmanager
    def _with_change(self, mutant: Mutant) -> Iterator[None]:
        """The copy with the change; compiled modules are told apart by size and second, so its file gets another."""
        file = self._folder / mutant.file
        before, state = file.read_text(), file.stat()
        file.write_text(mutant.text)
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns + 2_000_000_000))
        try:
            yield
        finally:
            file.write_text(before)
            os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))

    def _tests_of(self, room: str) -> list[str]:
        """The room's tests, and the examples in its code."""
        files = sorted((self._folder / "tests" / room).glob("test_*.py"))
        further = [self._folder / name for name in FURTHER_TESTS.get(room, [])]
        paths = [*files, *filter(Path.exists, further), self._folder / PIPELINE / room]
        return [str(path.relative_to(self._folder)) for path in paths]

    def _run_chosen(self, tests: Sequence[str], limit: float | None) -> Trial:
        """Run these tests, in this order, up to the first that fails."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as chosen:
            json.dump(list(tests), chosen)
            chosen.flush()
            files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
            return self._run(["-x", f"--chosen-tests={chosen.name}", *files], limit)

    def _run(self, arguments: list[str], limit: float | None, compiles: bool = False, retry: bool = True) -> Trial:
        """Run pytest in the copy, again if a signal ended it; what it started ends with it, or after ``limit`` s."""
        path = os.pathsep.join(filter(None, [str(_PLUGINS), os.environ.get("PYTHONPATH")]))
        environment = os.environ | {"PYTHONPATH": path} | ({} if compiles else {"PYTHONDONTWRITEBYTECODE": "1"})
        options = ["-p", "no:cacheprovider", "-p", "noted_calls", "-m", "not long", "--tb=line"]
        started = time.monotonic()
        with subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, *arguments],
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
            return self._run(arguments, limit, compiles, retry=False)
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
