"""Other clocks than the machine's."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest

from aqi_dagster import windows
from aqi_dagster.pipeline.readings import pull as pulling

_machine = windows.utc_now
_present: Callable[[], datetime] = _machine


class Clock:
    """What a pull reads: it says what a test sets it to, from then on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
        self.now = now
        monkeypatch.setattr(pulling, "utc_now", lambda: self.now)

    def go_on(self, time: timedelta) -> None:
        """Let ``time`` pass."""
        self.now += time


def set_clock(present: Callable[[], datetime]) -> None:
    """From here on ``utc_now`` of the pipeline is ``present``, in whichever modules it is imported."""
    global _present
    _present = present
    for name, module in list(sys.modules.items()):
        if name.startswith("aqi_dagster.") and vars(module).get("utc_now") is _machine:
            module.utc_now = _asked  # type: ignore[attr-defined]


def set_clock_off(by: timedelta) -> None:
    """From here on the clock goes as the machine's, but ``by`` so much ahead."""
    set_clock(lambda: _machine() + by)


@contextmanager
def clock_at(moment: datetime) -> Iterator[None]:
    """Have the clock stand at ``moment`` within the block."""
    before = _present
    set_clock(lambda: moment)
    try:
        yield
    finally:
        set_clock(before)


def _asked() -> datetime:
    return _present()
