"""A plugin of pytest: a test that docs/guarantees.md names must run, or the run says which promise it did not show.

A test that is skipped because this machine lacks what it needs says so (:func:`lacking.lacking`). It is listed at the
end of the run, which passes all the same, unless ``--nothing-lacking`` asks for every one. Whatever else is skipped,
or expected to fail, shows nothing, and fails the run.
"""

import re
from pathlib import Path

import pytest

from tests.support.lacking import LACKING
from tests.support.places import TOP

DOCUMENT = TOP / "docs" / "guarantees.md"

COLLECTED = pytest.StashKey[set[str]]()
"""The tests that were collected, before any was left out by its marks; without the parameters."""

_NAMED = re.compile(r"`(tests/[\w/]+\.py::test_\w+)`")


def named_tests(text: str) -> set[str]:
    """The tests that promises name, as ``file::test``: all in the tables before the tale of the crashes."""
    return set(_NAMED.findall(text.partition("\n## How the crashes")[0]))


class Promises:
    """Watches the tests that promises name."""

    def __init__(self, named: set[str], nothing_lacking: bool) -> None:
        self._named = named
        self._nothing_lacking = nothing_lacking
        self._lacking: dict[str, str] = {}
        self._not_run: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a named test that was skipped, or expected to fail, and why."""
        test = report.nodeid.partition("[")[0]
        if test not in self._named or not (report.skipped or hasattr(report, "wasxfail")):
            return
        if hasattr(report, "wasxfail"):
            reason = f"expected to fail: {report.wasxfail}"
        else:
            reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        told = reason.removeprefix("Skipped: ")
        if told.startswith(LACKING) and not self._nothing_lacking:
            self._lacking[test] = told.removeprefix(LACKING)
        else:
            self._not_run[test] = told

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run that left out a named test without need."""
        if self._not_run and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say which named tests did not run."""
        for title, tests, colour in (
            ("promises not shown here, for want of something", self._lacking, {"yellow": True}),
            ("promises not shown: their tests were left out", self._not_run, {"red": True}),
        ):
            if tests:
                terminalreporter.section(f"{len(tests)} {title}", **colour)
                for test, reason in sorted(tests.items()):
                    terminalreporter.line(f"{test}: {reason}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the promises stand, and whether all of their tests must run."""
    parser.addoption("--promises", type=Path, default=DOCUMENT, help="the document whose named tests must run")
    parser.addoption("--nothing-lacking", action="store_true", help="no named test may be skipped for any reason")


def pytest_configure(config: pytest.Config) -> None:
    """Watch where reports come together: not in a worker of pytest-xdist."""
    config.stash[COLLECTED] = set()
    if not hasattr(config, "workerinput"):
        named = named_tests(config.getoption("--promises").read_text())
        config.pluginmanager.register(Promises(named, config.getoption("--nothing-lacking")))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Note all that was collected."""
    config.stash[COLLECTED] = {item.nodeid.partition("[")[0] for item in items}
