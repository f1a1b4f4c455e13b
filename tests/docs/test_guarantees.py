"""docs/guarantees.md promises nothing that no test shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.lacking import lacking
from tests.support.places import TOP
from tests.support.promises import COLLECTED, DOCUMENT, named_tests

PROMISES = [
    line
    for line in DOCUMENT.read_text().partition("\n## How the crashes")[0].splitlines()
    if line.count("|") == 4 and not line.startswith(("| promise |", "| --- |"))
]

TESTS = """
import pytest

def test_runs(): pass
def test_fails(): assert False
@pytest.mark.skip(reason="for now")
def test_skipped(): pass
@pytest.mark.parametrize("number", [1, 2])
def test_of_one_number(number):
    if number == 2:
        pytest.skip("not two")
@pytest.mark.xfail(reason="some day")
def test_expected_to_fail(): assert False
@pytest.mark.xfail(reason="some day")
def test_passes_all_the_same(): pass
def test_needs_something(): pytest.skip(LACKING)
"""


def test_every_promise_names_its_tests() -> None:
    assert len(PROMISES) > 15
    assert [row for row in PROMISES if not named_tests(row)] == []
    assert {test for row in PROMISES for test in named_tests(row)} == named_tests(DOCUMENT.read_text())


def test_every_test_that_is_named_is_collected(pytestconfig: pytest.Config) -> None:
    named = named_tests(DOCUMENT.read_text())
    collected = pytestconfig.stash[COLLECTED]
    if not {TOP, TOP / "tests"} & {(TOP / argument).resolve() for argument in pytestconfig.args}:
        collected = collect({test.partition("::")[0] for test in named})
    assert len(collected) > len(named)
    assert sorted(named - collected) == []


def collect(files: set[str]) -> set[str]:
    """The tests that pytest finds in ``files``."""
    there = [file for file in sorted(files) if (TOP / file).exists()]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-o", "addopts=", "-p", "no:cacheprovider"]
    found = subprocess.run([*command, *there], cwd=TOP, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    return {line.partition("[")[0] for line in found.stdout.splitlines() if "::" in line}


@pytest.fixture
def run(tmp_path: Path) -> "Run":
    """Runs tests of which a document names some."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(TESTS.replace("LACKING", repr(lacking("Apache Kafka"))))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return Run(tmp_path)


class Run:
    """Runs of pytest in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, *named: str, options: str = "") -> tuple[int, str]:
        """The exit status and the text of a run of all tests that ``named`` names in part."""
        document = self._folder / "promises.md"
        rows = "\n".join(f"| It holds | | `tests/test_it.py::test_{name}` |" for name in named)
        document.write_text(f"{rows}\n\n## How the crashes are made\n\n`tests/test_it.py::test_skipped`\n")
        command = [sys.executable, "-m", "pytest", "-p", "tests.support.promises", "--promises", str(document)]
        environment = os.environ | {"PYTHONPATH": str(TOP)}
        deselected = ["-k", "not fails", *options.split()]
        ended = subprocess.run(
            [*command, *deselected], cwd=self._folder, env=environment, capture_output=True, text=True
        )
        return ended.returncode, ended.stdout


def test_a_named_test_that_is_left_out_without_need_fails_the_run(run: Run) -> None:
    reasons = {
        "skipped": "for now",
        "of_one_number": "not two",
        "expected_to_fail": "expected to fail: some day",
        "passes_all_the_same": "expected to fail: some day",
    }
    status, text = run("runs", *reasons)
    assert status == 1
    assert "4 promises not shown: their tests were left out" in text
    for name, reason in reasons.items():
        assert re.search(rf"^tests/test_it\.py::test_{name}: {reason}$", text, re.MULTILINE)


def test_what_a_machine_lacks_is_said_and_fails_the_run_only_on_request(run: Run) -> None:
    status, text = run("runs", "needs_something", options="-n 2")
    assert status == 0
    assert "1 promises not shown here, for want of something" in text
    assert "tests/test_it.py::test_needs_something: Apache Kafka" in text
    status, text = run("runs", "needs_something", options="--nothing-lacking")
    assert status == 1
    assert "1 promises not shown: their tests were left out" in text
