"""What the demo shows: which windows, of which readings."""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from aqi_dagster.demo.summer import DAYS, Summer
from aqi_dagster.errors import InputFileError
from aqi_dagster.feeds.feed import Feed, opened_feed
from aqi_dagster.settings import load_settings
from aqi_dagster.windows import WINDOW_LENGTH, utc_now, window_start

MAX_SPAN = timedelta(days=3 * 366)
"""Longest time that the demo shows: a reading with a wrong date would make it a decade of empty windows."""


@dataclass(frozen=True)
class Plan:
    """What the demo shows: the windows from ``first`` to ``last`` of ``files``, or of a summer if there are none.

    ``sensor_lists`` say where sensors are of which the files have only the index.
    """

    first: datetime
    last: datetime
    topic: str
    files: tuple[Path, ...] = ()
    sensor_lists: tuple[Path, ...] = ()

    @classmethod
    def of_summer(cls) -> "Plan":
        """A summer that ends with the newest window that has ended."""
        newest = _newest_window()
        return cls(newest + WINDOW_LENGTH - timedelta(days=DAYS), newest, _topic())

    @classmethod
    def of_feed(cls, feed: Feed, files: Sequence[Path], sensor_lists: Sequence[Path]) -> "Plan":
        """The time that the readings of ``feed`` cover; it was made of ``files`` and ``sensor_lists``."""
        earliest, latest = feed.counts.first, feed.counts.last
        if earliest is None or latest is None:
            raise InputFileError(f"{', '.join(map(str, files))}: no line is a reading")
        first, last = window_start(earliest), min(window_start(latest), _newest_window())
        if not timedelta(0) <= last - first <= MAX_SPAN:
            raise InputFileError(
                f"The readings go from {earliest} to {latest} UTC. The demo shows windows that have ended, and at most "
                f"{MAX_SPAN.days} days of them: leave out what is too new, or has a wrong date."
            )
        lists = tuple(path.absolute() for path in sensor_lists)
        return cls(first, last, _topic(), tuple(file.absolute() for file in files), lists)

    @property
    def summer(self) -> Summer | None:
        """The synthetic summer, if that is what is shown."""
        return None if self.files else Summer(self.first)

    def feed(self) -> AbstractContextManager[Feed | None]:
        """What the files hold; None of a summer."""
        if not self.files:
            return nullcontext()
        settings = load_settings()
        newest = utc_now() + settings.future_allowance
        return opened_feed(self.files, newest, self.sensor_lists, settings.field_names)

    def save(self, path: Path) -> None:
        """Keep the plan for ``dagster dev``."""
        times = {"first": self.first.isoformat(), "last": self.last.isoformat()}
        files = {name: [str(file) for file in getattr(self, name)] for name in ("files", "sensor_lists")}
        path.write_text(json.dumps({**times, **files, "topic": self.topic}))

    @classmethod
    def load(cls, path: Path) -> "Plan":
        """The plan that :meth:`save` kept."""
        kept = json.loads(path.read_text())
        first, last = (datetime.fromisoformat(kept[name]) for name in ("first", "last"))
        files, lists = (tuple(map(Path, kept.get(name, []))) for name in ("files", "sensor_lists"))
        return cls(first, last, kept["topic"], files, lists)


def _newest_window() -> datetime:
    """The newest window that has ended."""
    return window_start(utc_now()) - WINDOW_LENGTH


def _topic() -> str:
    # One of its own for each demo: on a Kafka that others use, nothing may mix with theirs.
    return f"aqi_demo_{utc_now():%Y%m%dT%H%M%S}"
