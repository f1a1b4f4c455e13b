"""Dagster's event log in SQLite, which stores a batch of events in one transaction.

A backfill of many windows has many events: two for each asset and window. Dagster can hand them to its storage in
batches, but its SQLite storage commits each event of a batch by itself, in two files, and opens and closes both files
for every event. ``dagster.yaml`` names this class under ``event_log_storage``.
"""

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, Self

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine

from aqi_dagster.foreign_warnings import leave_out_log_lines
from aqi_dagster.instance.batches import store_events_in_batches

FILES_OPEN = 8
"""Most files of the event log that stay open: those that were read or written last."""

BUSY_TIMEOUT_SECONDS = 30
"""How long a transaction waits for another process that writes to the same file, as in Dagster's own storage."""

INDEX = "index"
"""Dagster's name of the file that holds what concerns more than one run, beside a file for each run."""

TEMPORARY_HOME = "DAGSTER_TEMPORARY_EVENTS"
"""The variable by which processes know the folder of events of the one that started them."""

BEFORE_ITS_FIRST_STEP = (
    "This run waits in the queue, which Dagster's daemon looks at every few seconds: until fewer than four runs are "
    "under way, and none of the same series, as windows build on those before them. Then its process starts, and loads "
    "Dagster and the pipeline: 10 to 20 seconds, for one window as for hundreds. What the pipeline says stands below "
    "with the level INFO: leave out EVENT and DEBUG above the log, and nothing else is shown."
)
"""What the log of a run says when it is queued; until its first step nothing else says what happens."""


class BatchingSqliteEventLog(SqliteEventLogStorage):
    """Dagster's SQLite event log, in the same files, with one transaction a batch in each of the two files of an event.

    What is stored, and how, is left to Dagster's own class. It only finds a transaction open, and joins it.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._files = OpenFiles(self.conn_string_for_shard)
        super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> Any:
        """Its one setting: the folder below which the events lie as Dagster has them by default; else DAGSTER_HOME."""
        return {"dagster_home": dg.Field(dg.StringSource, is_required=False)}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """The storage that ``dagster.yaml`` describes; this process then hands over its events in batches."""
        store_events_in_batches()
        leave_out_log_lines()
        home = Path(config_value.get("dagster_home") or _dagster_home()).expanduser()
        return cls(str(home / "history" / "runs"), inst_data)

    def run_connection(self, run_id: str | None = None) -> AbstractContextManager[Connection]:
        """A transaction in the file of run ``run_id``, or the one that this thread has open there."""
        return self._files.transaction(run_id or "", lambda: super(BatchingSqliteEventLog, self).run_connection(run_id))

    def index_connection(self) -> AbstractContextManager[Connection]:
        """A transaction in the file of all runs, or the one that this thread has open there."""
        return self._files.transaction(INDEX, super().index_connection)

    def wipe(self) -> None:
        """Delete all events, and the files of all runs."""
        self._files.close()
        super().wipe()

    def dispose(self) -> None:
        """Close all files; a later query opens them again."""
        super().dispose()
        self._files.close()

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Store one event; with that of a run that is queued, what happens before its first step."""
        super().store_event(event)
        if event.dagster_event_type == dg.DagsterEventType.RUN_ENQUEUED:
            super().store_event(_line(event, BEFORE_ITS_FIRST_STEP))
        self._show_to_watchers(event.run_id)

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store ``events`` of one run, all or none in each file. If this fails, Dagster stores them one by one."""
        (run_id,) = {event.run_id for event in events}
        with self.index_connection() as index, self.run_connection(run_id) as run_file:
            numbers: list[int] = []
            for event in events:
                insert = self.prepare_insert_event(event)
                run_file.execute(insert)
                numbers.extend(index.execute(insert).inserted_primary_key or ())
            self._record(events, numbers)
        self._show_to_watchers(run_id)

    def _record(self, events: Sequence[dg.EventLogEntry], numbers: Sequence[int]) -> None:
        """Record what ``events``, stored under ``numbers``, say of their assets and checks, in the open transaction."""
        of_assets = []
        for event, number in zip(events, numbers, strict=True):
            if event.dagster_event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
                self.store_asset_check_event(event, number)
            else:
                of_assets.append((event, number))
        self.store_asset_event_tags([event for event, _ in of_assets], [number for _, number in of_assets])
        # The record of an asset names its last event.
        last = {event.get_dagster_event().asset_key: (event, number) for event, number in of_assets}
        for event, number in last.values():
            self.store_asset_event(event, number)

    def _show_to_watchers(self, run_id: str) -> None:
        """Touch the file of a run, so that the pages that follow it notice its new events.

        They watch that file, which SQLite leaves alone while it writes to its write-ahead log.
        """
        os.utime(self.path_for_shard(run_id))


def _line(event: dg.EventLogEntry, message: str) -> dg.EventLogEntry:
    """A line of the log with ``message``, of the run and time of ``event``."""
    return dg.EventLogEntry(  # type: ignore[no-untyped-call]
        error_info=None,
        level=logging.INFO,
        user_message=message,
        run_id=event.run_id,
        timestamp=event.timestamp,
        job_name=event.job_name,
        dagster_event=None,
    )


def _dagster_home() -> str:
    """DAGSTER_HOME; without one, a folder that goes with this process, and that the processes it starts share.

    Without DAGSTER_HOME commands of Dagster's take the ``dagster.yaml`` of the present folder, and keep no records.
    """
    home = os.environ.get("DAGSTER_HOME") or os.environ.get(TEMPORARY_HOME)
    if not home:
        home = os.environ[TEMPORARY_HOME] = tempfile.mkdtemp(prefix="dagster-events-")
        atexit.register(shutil.rmtree, home, ignore_errors=True)
    return home


class OpenFiles:
    """Files of the event log that stay open, and the transactions in them.

    Closing a file costs several times as much as storing an event: SQLite then merges its write-ahead log and deletes
    it.
    """

    def __init__(self, address: Callable[[str], str]) -> None:
        self._address = address
        self._engines: dict[str, Engine] = {}
        self._transactions: dict[str, Connection] = {}
        # One thread at a time, as in Dagster's own storage; the same thread may begin a transaction within another.
        self._lock = RLock()

    @contextmanager
    def transaction(self, file: str, make: Callable[[], AbstractContextManager[Connection]]) -> Iterator[Connection]:
        """A transaction in ``file``, which ends with the block, or the one that this thread has open in it.

        A file that is not open is first opened by ``make``, which makes its tables if there are none.
        """
        with self._lock, ExitStack() as stack:
            if file not in self._transactions:
                self._transactions[file] = stack.enter_context(self._begin(file, make))
                stack.callback(self._transactions.pop, file)
            yield self._transactions[file]

    @contextmanager
    def _begin(self, file: str, make: Callable[[], AbstractContextManager[Connection]]) -> Iterator[Connection]:
        engine = self._engine(file, make)
        try:
            with engine.begin() as connection:
                yield connection
        except BaseException:
            # A block that failed may leave a result open, and later reads would see the file as it was then.
            self._engines.pop(file).dispose()
            raise

    def _engine(self, file: str, make: Callable[[], AbstractContextManager[Connection]]) -> Engine:
        """The engine of ``file``, which becomes the last one to be closed."""
        engine = self._engines.pop(file, None)
        if engine is None:
            with make():
                pass
            # One connection is enough: the lock admits one thread at a time.
            engine = create_engine(self._address(file), pool_size=1, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
        self._engines[file] = engine
        idle = [name for name in self._engines if name not in self._transactions and name != file]
        for name in idle[: max(0, len(self._engines) - FILES_OPEN)]:
            self._engines.pop(name).dispose()
        return engine

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            while self._engines:
                self._engines.popitem()[1].dispose()
