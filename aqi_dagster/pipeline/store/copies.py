"""Opening the published copy in a process of many threads, so that nothing mixes two copies while it is replaced.

DuckDB keeps one instance for each path that a process has open, and would give the old copy for as long as requests
overlap. So each copy is attached to an instance of its own. But a process must never have a file open twice: closing
one of the two lets go of the lock that tells the publisher that the other still reads (a POSIX lock belongs to the
process), and a copy that seems out of use is overwritten. So requests at the same time share what they have open of
one file, and the last of them closes it.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from aqi_dagster.errors import StoreError
from aqi_dagster.pipeline.store.migration import require_version

MEMORY_MB = 512
"""What DuckDB may hold of a copy."""

THREADS = 2

_ATTEMPTS = 20
"""Copies that may be published while one is being opened."""


class NoCopyError(StoreError):
    """Nothing was published yet."""


@dataclass(frozen=True)
class Copy:
    """An open copy: a connection of this request alone, when it was published (UTC), and what tells it from others."""

    connection: DuckDBPyConnection
    published_at: datetime
    name: str


@dataclass
class _Opened:
    instance: DuckDBPyConnection
    status: os.stat_result
    users: int = 0


class Copies:
    """The published copies at one path, one after the other."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._opened: dict[tuple[int, int], _Opened] = {}

    def name(self) -> str:
        """What tells the present copy from others, without opening it; :class:`NoCopyError` if there is none."""
        return _name(self._stat())

    @contextmanager
    def reader(self) -> Iterator[Copy]:
        """The copy that is the published one now, for one request.

        Raises :class:`NoCopyError`, or another :class:`StoreError` if it is of another release or cannot be read.
        """
        opened = self._open()
        try:
            with opened.instance.cursor() as cursor:
                cursor.execute("USE copy")
                require_version(cursor, self.path)
                published_at = datetime.fromtimestamp(opened.status.st_mtime, UTC).replace(tzinfo=None)
                yield Copy(cursor, published_at, _name(opened.status))
        finally:
            self._let_go(opened)

    def _open(self) -> _Opened:
        with self._lock:
            for _ in range(_ATTEMPTS):
                before = self._stat()
                opened = self._opened.get(_file(before))
                if opened is None:
                    instance = self._attach()
                    try:
                        if _name(self._stat()) != _name(before):
                            # Replaced meanwhile: which of the two is open is not known.
                            instance.close()
                            continue
                    except NoCopyError:
                        instance.close()
                        raise
                    opened = self._opened[_file(before)] = _Opened(instance, before)
                opened.users += 1
                return opened
        raise StoreError(
            f"The published copy {self.path} is replaced faster than it can be opened. Load the page again."
        )

    def _attach(self) -> DuckDBPyConnection:
        instance = duckdb.connect(config={"threads": THREADS, "memory_limit": f"{MEMORY_MB}MB"})
        quoted = str(self.path).replace("'", "''")
        failure = ""
        try:
            instance.execute(f"ATTACH '{quoted}' AS copy (READ_ONLY)")
            # Whatever a query were made to say, it could read no other file.
            instance.execute("SET enable_external_access = false")
            instance.execute("SET lock_configuration = true")
        except duckdb.Error as error:
            failure = str(error)
        if failure:
            instance.close()
            if not self.path.exists():
                raise _missing(self.path)
            raise StoreError(
                f"The published copy {self.path} cannot be opened: {failure}. The next run publishes it anew."
            )
        return instance

    def _let_go(self, opened: _Opened) -> None:
        with self._lock:
            opened.users -= 1
            if not opened.users:
                del self._opened[_file(opened.status)]
                opened.instance.close()

    def _stat(self) -> os.stat_result:
        try:
            return self.path.stat()
        except FileNotFoundError:
            raise _missing(self.path) from None
        except OSError as error:
            raise StoreError(f"The published copy {self.path} cannot be read: {error.strerror}.") from None


def _missing(path: Path) -> NoCopyError:
    return NoCopyError(
        f"Nothing was published at {path} yet. The first run of the pipeline does: `aqi-dagster materialize`, or a "
        "backfill in Dagster. If it has run, AQI_DATA_DIR names another folder here."
    )


def _file(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _name(status: os.stat_result) -> str:
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"
