"""Our own clock, as a pull reads it."""

from datetime import datetime, timedelta

import pytest

from aqi_dagster.pipeline.readings import pull as pulling


class Clock:
    """Says what a test sets it to, from then on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
        self.now = now
        monkeypatch.setattr(pulling, "utc_now", lambda: self.now)

    def go_on(self, time: timedelta) -> None:
        """Let ``time`` pass."""
        self.now += time
