"""The DuckDB store: one private file with one writer at a time, and a published copy for everyone else.

DuckDB lets one process write a file, and then no other may even read it. So the pipeline keeps a private file that
writers queue for on a file lock, and publishes a copy by atomic rename. Analysts open only the copy: no run waits for
them, and no run disturbs them.
"""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from aqi_dagster import defaults
from aqi_dagster.errors import StoreError
from aqi_dagster.pipeline.store.file_faults import explain_faults, is_full, log_of
from aqi_dagster.pipeline.store.locks import locked
from aqi_dagster.pipeline.store.migration import migrate, require_version
from aqi_dagster.pipeline.store.publishing import publish
from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.pipeline.store.written_blocks import HEADERS_BYTES, Notes, attach_logged, identity, logged_blocks

STORAGE_VERSION = "v1.5.0"
"""Oldest DuckDB release that can open the published copy."""

_log = logging.getLogger(__name__)


class Store:
    """The private DuckDB file under ``data_dir``, its lock, and its published copy ``aqi.duckdb``."""

    def __init__(
        self,
        data_dir: Path,
        lock_timeout: float = defaults.LOCK_TIMEOUT_SECONDS,
        memory_limit: int = defaults.DUCKDB_MEMORY_MB,
    ) -> None:
        """``lock_timeout`` is the time in seconds to queue behind another writer before :class:`StoreBusyError`.

        ``memory_limit`` is how many MB of the private store DuckDB may hold in memory.
        """
        self.published = data_dir / "aqi.duckdb"
        self.private = data_dir / "private" / "store.duckdb"
        self._lock = data_dir / "private" / "store.lock"
        self._lock_timeout = lock_timeout
        self._memory_limit = memory_limit
        self._copy_is_old = False

    def with_patience(self, seconds: float) -> "Store":
        """The same store, for whose lock is waited no longer than that."""
        return Store(self.published.parent, min(self._lock_timeout, seconds), self._memory_limit)

    @contextmanager
    def exclusive(self, tracked: bool = False) -> Iterator[Writer]:
        """The only open connection to the private store, whose schema is that of this release.

        What a ``tracked`` one writes is noted, so that :meth:`publish` need not compare the whole store with a copy.
        Raises :class:`StoreBusyError` if another writer holds the lock for too long, :class:`StoreError` if the file
        is open elsewhere or was written by a newer release, or if the block needs more than ``memory_limit``.
        """
        with locked(self._lock, self._lock_timeout), explain_faults(self.private, self._memory_limit):
            self._make_if_missing()
            notes = Notes(self.private)
            copies = notes.read() if tracked else {}
            notes.forget()
            writer = Writer(self._connect(tracked=tracked))
            try:
                migrate(writer, self.private)
                self._copy_is_old = True
                yield writer
                if copies:
                    writer.execute("CHECKPOINT")
                    written = logged_blocks(writer, self.private)
                    state = identity(self.private)
            finally:
                writer.close()
            self._merge_log()
            if copies and identity(self.private) == state:
                notes.write({copy: blocks | written for copy, blocks in copies.items()})

    def _make_if_missing(self) -> None:
        """Make the store under another name first: so a full disk leaves none that is half made."""
        if self.private.exists() and not self._is_empty():
            return
        draft = self.private.with_name("store.making.duckdb")
        for remnant in (draft, log_of(draft), self.private, log_of(self.private)):
            remnant.unlink(missing_ok=True)
        with duckdb.connect(str(draft), config=self._config) as connection:
            migrate(Writer(connection), self.private)
            connection.execute("CHECKPOINT")
        draft.replace(self.private)

    def _is_empty(self) -> bool:
        """Whether making the store was cut off: its file holds headers alone, and its log nothing at all.

        A log may hold all there is of a store: that of an older release whose first run was killed.
        """
        log = log_of(self.private)
        logged = log.stat().st_size if log.exists() else 0
        return self.private.stat().st_size <= HEADERS_BYTES and logged == 0

    @contextmanager
    def inspect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-only connection to the private store; writers queue behind it too.

        Raises what :meth:`exclusive` raises, and :class:`StoreError` if nothing was ever written.
        """
        with locked(self._lock, self._lock_timeout), explain_faults(self.private, self._memory_limit):
            connection = self._connect(read_only=True)
            try:
                require_version(connection, self.private)
                yield connection
            finally:
                connection.close()

    def publish(self) -> bool:
        """Replace the published copy if this object has opened the store since the last time; returns whether it did.

        It compares no more of them than it must, if the store was opened by tracked sessions alone.

        Raises :class:`StoreError` if the disk is full.
        """
        if not self._copy_is_old:
            return False
        with locked(self._lock, self._lock_timeout), explain_faults(self.private, self._memory_limit):
            self._publish(compare_all=False)
            return True

    def is_readable(self) -> bool:
        """Whether there is a private store that this user may read."""
        return os.access(self.private, os.R_OK)

    @contextmanager
    def publish_and_open(self) -> Iterator[tuple[duckdb.DuckDBPyConnection, duckdb.DuckDBPyConnection]]:
        """Replace the published copy; then read-only connections to store and copy, while writers queue.

        Raises what :meth:`exclusive` raises.
        """
        with locked(self._lock, self._lock_timeout), explain_faults(self.private, self._memory_limit):
            self._publish(compare_all=True)
            with self._connect(read_only=True) as store, duckdb.connect(str(self.published), read_only=True) as copy:
                # The copy is read once, from end to end, which needs little memory.
                copy.execute(f"SET memory_limit = '{self._memory_limit // 4}MB'")
                yield store, copy

    def _merge_log(self) -> None:
        """Merge a write-ahead log that outlived the connection: when closing fails to merge it, DuckDB says nothing.

        Raises :class:`StoreError` if that fails again: a copy of the store without its log would lack the last rows.
        """
        log = log_of(self.private)
        if log.exists():
            with self._connect() as connection:
                connection.execute("CHECKPOINT")
        if log.exists():
            raise StoreError(
                f"The log {log} could not be merged into the store, so nothing was published. Nothing is lost: see "
                "whether the disk is full, and run again."
            )

    def _publish(self, compare_all: bool) -> None:
        """Replace the published copy. The caller holds the lock and has closed the store."""
        started = time.monotonic()
        self._merge_log()
        publication = publish(self.private, self.published, self.private.with_name("spare.duckdb"), compare_all)
        self._copy_is_old = False
        _log.info(
            "published %s: %.1f of %.1f MB written, in %.2f s",
            self.published,
            publication.written / 1e6,
            publication.size / 1e6,
            time.monotonic() - started,
        )

    @contextmanager
    def reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-only connection to the published copy.

        Raises :class:`StoreError` if there is no copy yet, if another release published it, or if it cannot be read.
        """
        if not self.published.exists():
            if self.is_readable():
                raise StoreError(
                    f"The store {self.private} is there, but no copy of it is published at {self.published}: it was "
                    "restored from a backup, or its first run has not ended. The next run publishes it; `aqi-dagster "
                    "status` reads the store itself."
                )
            raise StoreError(
                f"There is no published copy at {self.published} yet: run `aqi-dagster materialize` or a backfill "
                "first, or point AQI_DATA_DIR at the folder that holds it."
            )
        with self._reader() as connection:
            require_version(connection, self.published)
            yield connection

    @contextmanager
    def _reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        try:
            connection = duckdb.connect(str(self.published), read_only=True)
        except duckdb.IOException as error:
            raise StoreError(
                f"The published copy {self.published} cannot be opened: {error}. The next run publishes it anew."
            ) from error
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def reader_or_none(self) -> Iterator[duckdb.DuckDBPyConnection | None]:
        """As :meth:`reader`, but for a copy of any release; None if nothing was published yet."""
        if self.published.exists():
            with self._reader() as connection:
                yield connection
        else:
            yield None

    @contextmanager
    def dispatching(self) -> Iterator[None]:
        """Hold the lock of senders, so that no two processes send the same alert; others can use the store."""
        with locked(self.private.with_name("dispatch.lock"), self._lock_timeout):
            yield

    @contextmanager
    def looking_up(self) -> Iterator[None]:
        """Hold the lock of lookups, so that no two processes ask a geocoder at once; others can use the store."""
        with locked(self.private.with_name("lookup.lock"), self._lock_timeout):
            yield

    @property
    def _config(self) -> dict[str, str | bool | int | float | list[str]]:
        return {
            "storage_compatibility_version": STORAGE_VERSION,
            # DuckDB's default is four fifths of the machine's memory, and it fills them with blocks of the file.
            "memory_limit": f"{self._memory_limit}MB",
        }

    def _connect_logged(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(config=self._config)
        try:
            attach_logged(connection, self.private)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self, read_only: bool = False, tracked: bool = False) -> duckdb.DuckDBPyConnection:
        try:
            if tracked:
                return self._connect_logged()
            return duckdb.connect(str(self.private), read_only, config=self._config)
        except duckdb.IOException as error:
            if is_full(error):
                raise
            if self.private.exists() and not os.access(self.private, os.R_OK if read_only else os.R_OK | os.W_OK):
                raise StoreError(
                    f"This user may not {'read' if read_only else 'write'} the private store {self.private}: give it "
                    "the right to, or run as the user who owns it."
                ) from None
            raise StoreError(
                f"The private store {self.private} cannot be opened: {error}. If another program has it open, close it "
                f"there and open the published copy {self.published} instead; if the file is damaged, restore a backup."
            ) from error
