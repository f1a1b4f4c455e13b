"""What a feed remembers: a SQLite file of its own in AQI_DATA_DIR, and the only module that writes it.

A reading is taken, and its message laid into the outbox, in one transaction; the message leaves the outbox when the
brokers have it. So a feed that dies at any moment sends each reading at least once, and a second time only if it died
between the brokers' answer and the note of that: the pipeline then counts the first one.
"""

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from aqi_dagster.errors import FeedError
from aqi_dagster.feeds.messages import Message
from aqi_dagster.feeds.sensor_list import Sensor

FORMAT = "1"
"""Version of the file's tables."""

TIMES_KEPT = 4
"""Readings of a sensor that are remembered: more than the newest, since servers answer from caches of several ages."""

_SCHEMA = Path(__file__).with_name("schema.sql")

_log = logging.getLogger(__name__)


class Reading(NamedTuple):
    """A reading of a sensor and its message; ``time`` is seconds since 1970, ``mark`` tells it from one soon after."""

    sensor: str
    time: int
    message: Message
    mark: str | None = None


def memory_file(data_dir: Path, kind: str) -> Path:
    """The file of the feed of a kind: ``purpleair``, ``local`` or ``history``."""
    return data_dir / "feeds" / f"{kind}.sqlite"


@contextmanager
def opened_memory(data_dir: Path, kind: str) -> Iterator["Memory"]:
    """The memory of the feed of a kind, for this process alone.

    Raises ``FeedError`` if another process has it, or if the file cannot be used.
    """
    path = memory_file(data_dir, kind)
    lock = FileLock(f"{path}.lock", timeout=0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        memory = _open(path)
    except Timeout:
        raise FeedError(
            f"Another feed of this kind ({kind}) runs with {data_dir}: end it, or name all of its sensors in one."
        ) from None
    except (OSError, sqlite3.Error) as error:
        lock.release()
        raise _unusable(path, error) from error
    try:
        yield memory
    except sqlite3.Error as error:
        raise _unusable(path, error) from error
    finally:
        memory.close()
        lock.release()


def _unusable(path: Path, error: Exception) -> FeedError:
    return FeedError(f"{path} cannot be used: {error}. Look after the disk, and who may write there.")


def _open(path: Path) -> "Memory":
    try:
        return Memory(path)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        aside = path.with_suffix(".broken")
        _log.warning(
            "%s is no memory of a feed any more (%s): it lies now at %s, and a new one begins. What is sent again "
            "counts once; the points of today are not known.",
            *(path, error, aside),
        )
        path.replace(aside)
        for ending in ("-wal", "-shm"):
            Path(f"{path}{ending}").unlink(missing_ok=True)
        return Memory(path)


class Memory:
    """The open file. Everything between two of its transactions is forgotten if the process dies."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            # What was noted outlives the process without waiting for the disk; a power cut costs the last notes alone.
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(_SCHEMA.read_text())
            found = self.noted("format")
            if found not in (None, FORMAT):
                raise FeedError(f"{path} is of another release: move it away. What is sent again counts once.")
            self.note("format", FORMAT)
            rows = self._connection.execute("SELECT sensor, times, mark FROM sensors").fetchall()
            self._times = {sensor: tuple(map(int, times.split(","))) for sensor, times, _ in rows}
            self._marks = {sensor: mark for sensor, _, mark in rows if mark is not None}
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that the block notes is in the file at its end, or nothing of it."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def noted(self, name: str) -> str | None:
        """What was noted under ``name``."""
        row = self._connection.execute("SELECT value FROM notes WHERE name = ?", [name]).fetchone()
        return None if row is None else str(row[0])

    def number(self, name: str) -> float:
        """The number that was noted under ``name``, 0 if there is none."""
        return float(self.noted(name) or 0)

    def note(self, name: str, value: object) -> None:
        """Note ``value`` under ``name``; None forgets it."""
        if value is None:
            self._connection.execute("DELETE FROM notes WHERE name = ?", [name])
        else:
            self._connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", [name, str(value)])

    def spent(self, day: str) -> int:
        """The points that a UTC day cost."""
        row = self._connection.execute("SELECT points FROM points WHERE day = ?", [day]).fetchone()
        return 0 if row is None else int(row[0])

    def days(self) -> list[tuple[str, int]]:
        """The UTC days on which anything was spent, and how many points."""
        return list(self._connection.execute("SELECT day, points FROM points ORDER BY day").fetchall())

    def spend(self, day: str, points: int) -> None:
        """Add ``points``, which may be less than 0, to those of a day."""
        self._connection.execute(
            """
            INSERT INTO points VALUES (?, ?)
            ON CONFLICT (day) DO UPDATE SET points = max(points + excluded.points, 0)
            """,
            [day, points],
        )

    def places(self) -> dict[int, Sensor | None]:
        """The sensors of the API by their number; None for those that it gives no place."""
        rows = self._connection.execute("SELECT sensor_index, place, name, location_type FROM places").fetchall()
        return {
            index: None if place is None else Sensor(place, index, name, location)
            for index, place, name, location in rows
        }

    def note_places(self, found: Mapping[int, Sensor | None]) -> None:
        """Note where sensors of the API are."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO places VALUES (?, ?, ?, ?)",
            [
                (index, *((None, None, None) if sensor is None else (sensor.place, sensor.name, sensor.location_type)))
                for index, sensor in found.items()
            ],
        )

    def newest(self, sensor: str) -> tuple[int, str | None]:
        """When the newest reading of ``sensor`` was measured (0 if there is none), and its mark."""
        return max(self._times.get(sensor, (0,))), self._marks.get(sensor)

    def is_new(self, sensor: str, time: int) -> bool:
        """Whether no reading of ``sensor`` at this time was taken."""
        return time not in self._times.get(sensor, ())

    def take(self, readings: Iterable[Reading], at: float) -> int:
        """Lay the messages of new readings into the outbox; returns their number. In a transaction."""
        taken = {(reading.sensor, reading.time): reading for reading in readings if self.is_new(*reading[:2])}
        for reading in taken.values():
            times = (*self._times.get(reading.sensor, ()), reading.time)[-TIMES_KEPT:]
            self._times[reading.sensor] = times
            if reading.mark is not None:
                self._marks[reading.sensor] = reading.mark
            self._connection.execute(
                "INSERT OR REPLACE INTO sensors VALUES (?, ?, ?)",
                [reading.sensor, ",".join(map(str, times)), self._marks.get(reading.sensor)],
            )
        self.put([reading.message for reading in taken.values()])
        if taken:
            self.note("newest_reading", max(int(self.number("newest_reading")), *(time for _, time in taken), 0))
            self.note("taken_at", at)
            if self.noted("first_reading") is None:
                self.note("first_reading", min(time for _, time in taken))
        return len(taken)

    def put(self, messages: Iterable[Message]) -> None:
        """Lay ``messages`` into the outbox."""
        self._connection.executemany("INSERT INTO outbox (key, value) VALUES (?, ?)", messages)

    def waiting(self, most: int) -> tuple[int, list[Message]]:
        """The first ``most`` messages that the brokers do not have, and the number of the last of them."""
        rows = self._connection.execute(
            "SELECT number, key, value FROM outbox WHERE sent_at IS NULL ORDER BY number LIMIT ?", [most]
        ).fetchall()
        return (rows[-1][0] if rows else 0), [Message(key, value) for _, key, value in rows]

    def note_sent(self, last: int, at: float) -> None:
        """Note that the brokers have all messages up to the number ``last``."""
        self._connection.execute("UPDATE outbox SET sent_at = ? WHERE sent_at IS NULL AND number <= ?", [at, last])

    def forget_sent(self, before: float) -> None:
        """Forget the messages that were sent before a moment."""
        self._connection.execute("DELETE FROM outbox WHERE sent_at < ?", [before])

    def send_again(self) -> int:
        """Lay all that is still there into the outbox once more, for a topic that has lost it; returns how many."""
        return self._connection.execute("UPDATE outbox SET sent_at = NULL WHERE sent_at IS NOT NULL").rowcount
