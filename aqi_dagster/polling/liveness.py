"""How feeds are, by what they have noted: for checks and for people, while the feeds run."""

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from aqi_dagster.errors import FeedError
from aqi_dagster.polling.clock import day_of
from aqi_dagster.polling.memory import memory_file

KINDS = ("purpleair", "local")
"""Feeds that go on for ever."""

REMEMBERED = timedelta(days=1).total_seconds()
"""Seconds for which a sensor that fell silent is named; later it counts as taken down."""

SILENT_AFTER = timedelta(hours=1).total_seconds()

OF_LOCAL_FEED = timedelta(hours=1).total_seconds()
"""Seconds for which a sensor is the local feed's after its last reading there."""

_LATE = 3
"""Intervals without an answer, or without a delivery, after which a feed is not alive."""


@dataclass(frozen=True)
class FeedState:
    """What a feed has noted; times are seconds since 1970, 0 where there is none.

    ``silent`` are the sensors that reported within a day but not within the last hour, with the time of their last
    reading. ``points`` are those of this UTC day, None where nothing is charged.
    """

    kind: str
    running: bool
    interval: float
    answered_at: float
    newest_reading: float
    waiting: int
    sent_at: float
    sensors: int
    silent: dict[str, float]
    points: int | None
    points_a_day: int
    trouble: str | None

    def problems(self, now: float) -> list[str]:
        """What an operator should look at."""
        late = max(_LATE * self.interval, 600.0)
        found = []
        if not self.running:
            found.append("no process of it runs")
        if now - self.answered_at > late:
            found.append(f"no answer since {_moment(self.answered_at)}")
        elif now - self.newest_reading > SILENT_AFTER:
            found.append(f"no new reading since {_moment(self.newest_reading)}")
        if self.waiting and now - self.sent_at > late:
            found.append(f"{self.waiting:,} messages wait for Kafka since {_moment(self.sent_at)}")
        if self.trouble:
            found.append(self.trouble)
        if self.silent:
            names = ", ".join(list(self.silent)[:5]) + (
                f" and {len(self.silent) - 5} more" if len(self.silent) > 5 else ""
            )
            found.append(f"silent for an hour: {names}")
        return found


def feed_states(data_dir: Path, now: float) -> list[FeedState]:
    """The feeds that have ever run with ``data_dir``, as they are at a moment in seconds since 1970."""
    return [_state(data_dir, kind, now) for kind in KINDS if memory_file(data_dir, kind).exists()]


class Source(NamedTuple):
    """Who is to be named where readings are shown, and the address to link."""

    name: str
    address: str


PURPLEAIR = Source("PurpleAir", "https://www.purpleair.com")


def source_of(data_dir: Path) -> Source | None:
    """PurpleAir, if readings come from its API, whose terms ask for that; otherwise nobody."""
    fed = any(memory_file(data_dir, kind).exists() for kind in ("purpleair", "history"))
    return PURPLEAIR if fed else None


def local_sensors(data_dir: Path, now: float) -> Collection[str]:
    """The sensors of which the local feed had a reading within the last hour."""
    path = memory_file(data_dir, "local")
    if not path.exists():
        return ()
    return {sensor for sensor, time in _last_readings(path).items() if now - time < OF_LOCAL_FEED}


def first_polled(data_dir: Path) -> float | None:
    """When the first reading of PurpleAir's API was measured that was polled, if there is one."""
    path = memory_file(data_dir, "purpleair")
    if not path.exists():
        return None
    with _reading(path) as connection:
        row = connection.execute("SELECT value FROM notes WHERE name = 'first_reading'").fetchone()
    return None if row is None else float(row[0])


def history_points(data_dir: Path, now: float) -> int:
    """What was paid for history on the UTC day of a moment."""
    path = memory_file(data_dir, "history")
    if not path.exists():
        return 0
    with _reading(path) as connection:
        return _points_of_day(connection, now)


def _points_of_day(connection: sqlite3.Connection, now: float) -> int:
    row = connection.execute("SELECT points FROM points WHERE day = ?", [day_of(now)]).fetchone()
    return 0 if row is None else int(row[0])


def _state(data_dir: Path, kind: str, now: float) -> FeedState:
    path = memory_file(data_dir, kind)
    with _reading(path) as connection:
        notes = dict(connection.execute("SELECT name, value FROM notes").fetchall())
        waiting = connection.execute("SELECT count(*) FROM outbox WHERE sent_at IS NULL").fetchone()[0]
        spent = _points_of_day(connection, now)
    number = {name: float(notes.get(name, 0)) for name in ("interval", "answered_at", "newest_reading", "sent_at")}
    last = _last_readings(path)
    silent = {sensor: float(time) for sensor, time in sorted(last.items()) if SILENT_AFTER < now - time < REMEMBERED}
    return FeedState(
        kind=kind,
        running=_is_locked(Path(f"{path}.lock")),
        waiting=waiting,
        sensors=len(last),
        silent=silent,
        points=None if kind == "local" else spent,
        points_a_day=int(float(notes.get("points_a_day", 0))),
        trouble=notes.get("trouble"),
        **number,
    )


def _last_readings(path: Path) -> dict[str, int]:
    with _reading(path) as connection:
        rows = connection.execute("SELECT sensor, times FROM sensors").fetchall()
    return {sensor: max(map(int, times.split(","))) for sensor, times in rows}


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that writes nothing. Raises ``FeedError`` if the file cannot be read."""
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
        try:
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise FeedError(f"{path} cannot be read: {error}.") from error


def _is_locked(path: Path) -> bool:
    """Whether a process holds the lock, and so runs the feed."""
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError as error:
        raise FeedError(f"{path} cannot be read: {error}.") from error


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC" if seconds else "its beginning"
