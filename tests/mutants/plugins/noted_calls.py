"""A plugin of pytest: note which functions of the pipeline each test calls, or run chosen tests in a given order.

It is loaded by name from its own folder, since the checkout in which it runs need not be the one that it belongs to.
"""

import json
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where to note what tests call, and which tests to run."""
    parser.addoption("--note-calls", type=Path, help="JSON file to write: by test, its seconds and what it calls")
    parser.addoption("--chosen-tests", type=Path, help="JSON file of the tests to run, in this order")


def pytest_configure(config: pytest.Config) -> None:
    """Watch the tests if asked to."""
    if config.getoption("--note-calls"):
        config.pluginmanager.register(Watch(config.rootpath, config.getoption("--note-calls")))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out all tests but the chosen ones, if any were chosen, and sort those."""
    file = config.getoption("--chosen-tests")
    if file:
        places = {test: place for place, test in enumerate(json.loads(file.read_text()))}
        items[:] = sorted((item for item in items if item.nodeid in places), key=lambda item: places[item.nodeid])


class Watch:
    """Notes for each test how long it took and which functions it called, as file and qualified name.

    Functions inside of another one count as this one. What a fixture that tests share calls when it is made counts for
    each of them. Other processes are not watched, nor what Numba compiled.
    """

    def __init__(self, top: Path, file: Path) -> None:
        self._prefix, self._file = f"{top}/", file
        self._called: set[CodeType] = set()
        self._by_fixture: dict[str, set[CodeType]] = defaultdict(set)
        self._tests: dict[str, tuple[float, list[str], set[CodeType]]] = {}

    def _trace(self, frame: FrameType, event: str, argument: object) -> None:
        self._called.add(frame.f_code)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Watch one test, what is made for it included."""
        self._called = called = set()
        started = time.monotonic()
        threading.settrace(self._trace)
        sys.settrace(self._trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)
            fixtures = list(getattr(item, "fixturenames", []))
            self._tests[item.nodeid] = time.monotonic() - started, fixtures, called

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Iterator[None]:
        """Note by itself what a fixture calls that is made once for many tests."""
        if fixturedef.scope == "function":
            return (yield)
        outer, self._called = self._called, self._by_fixture[fixturedef.argname]
        try:
            return (yield)
        finally:
            self._called = outer

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write everything down, if all tests passed."""
        if exitstatus != pytest.ExitCode.OK:
            return
        notes = {}
        for test, (seconds, fixtures, called) in self._tests.items():
            codes = called.union(*(self._by_fixture.get(name, set()) for name in fixtures))
            places = {
                (code.co_filename.removeprefix(self._prefix), code.co_qualname.partition(".<locals>")[0])
                for code in codes
                if code.co_filename.startswith(self._prefix)
            }
            notes[test] = {"seconds": seconds, "functions": sorted(places)}
        self._file.write_text(json.dumps(notes))
