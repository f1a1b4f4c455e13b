"""The Dagster instance of ``dagster.yaml``, which stores events in batches.

A backfill of many windows has many events: two for each asset and window. Dagster can hand them to its storage in
batches, but its SQLite storage commits each event of a batch by itself, in two files, and opens and closes both files
for every event.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import dagster as dg
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage, _event_logs_directory
from dagster._core.workspace.context import BaseWorkspaceRequestContext
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, text

FILES_OPEN = 8
"""Most files of the event log that stay open: those that were read or written last."""

EVENTS_AT_ONCE = 1_000
"""Events of a batch, unless DAGSTER_EVENT_BATCH_SIZE is set; 0 stores them one by one."""


BEFORE_ITS_FIRST_STEP = (
    "This run waits in the queue, which Dagster's daemon looks at every few seconds: until fewer than four runs are "
    "under way, and none of the same series, as windows build on those before them. Then its process starts, and loads "
    "Dagster and the pipeline: 10 to 20 seconds, for one window as for hundreds. What the pipeline says stands below "
    "with the level INFO: leave out EVENT and DEBUG above the log, and nothing else is shown."
)


class BatchingInstance(dg.DagsterInstance):
    """An instance that has events stored in batches, in SQLite below its folder unless ``storage`` is configured."""

    @staticmethod
    def config_schema() -> Mapping[str, Any]:
        """Settings of its own: none."""
        return {}

    @staticmethod
    def config_defaults(base_dir: str) -> Mapping[str, ConfigurableClassData | None]:
        """Defaults for what ``dagster.yaml`` does not configure: Dagster's own, except for the storage of events."""
        storage = ConfigurableClassData(
            BatchingSqliteStorage.__module__, BatchingSqliteStorage.__name__, json.dumps({"base_dir": base_dir})
        )
        return {**InstanceRef.config_defaults(base_dir), "storage": storage}

    def submit_run(self, run_id: str, workspace: BaseWorkspaceRequestContext) -> dg.DagsterRun:
        """Submit a run, and say in its log what happens before its first step."""
        run = super().submit_run(run_id, workspace)
        self.report_engine_event(BEFORE_ITS_FIRST_STEP, run)
        return run

    def _get_event_batch_size(self) -> int:
        return int(os.environ.get("DAGSTER_EVENT_BATCH_SIZE", EVENTS_AT_ONCE))


class BatchingSqliteStorage(DagsterSqliteStorage):
    """Dagster's SQLite files, in the same places, written to in batches."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage = BatchingSqliteEventLog(_event_logs_directory(base_dir))

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """The storage that ``dagster.yaml`` or its defaults describe."""
        return cls.from_local(inst_data=inst_data, **config_value)


class BatchingSqliteEventLog(SqliteEventLogStorage):
    """Dagster's SQLite event log with one transaction a batch in each of the two files that hold an event.

    Files stay open, because closing one costs several times as much as storing an event: SQLite then merges its
    write-ahead log and deletes it.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, Engine] = {}
        super().__init__(base_dir, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            try:
                with engine.begin() as connection:
                    yield connection
            except BaseException:
                # A block that failed may leave a result open, and later reads would see the file as it was then.
                self._engines.pop(shard).dispose()
                raise

    def _engine(self, shard: str) -> Engine:
        """The engine of the file of ``shard``, a run or the index of all runs; it becomes the last one to be closed."""
        engine = self._engines.pop(shard, None)
        if engine is None:
            # One connection is enough: the caller's lock admits one thread at a time.
            engine = create_engine(
                self.conn_string_for_shard(shard),
                pool_size=1,
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
            )
        self._engines[shard] = engine
        if len(self._engines) > FILES_OPEN:
            self._engines.pop(next(iter(self._engines))).dispose()
        return engine

    def _close_files(self) -> None:
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()

    def wipe(self) -> None:
        """Delete all events, and the files of all runs."""
        self._close_files()
        super().wipe()

    def dispose(self) -> None:
        """Close all files; a later query opens them again."""
        super().dispose()
        self._close_files()

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Store one event."""
        super().store_event(event)
        self._show_to_watchers(event.run_id)

    def _show_to_watchers(self, run_id: str) -> None:
        """Touch the file of a run, so that the pages that follow it notice its new events.

        They watch that file, which SQLite leaves alone while it writes to its write-ahead log.
        """
        os.utime(self.path_for_shard(run_id))

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store ``events`` of one run, of the kinds that Dagster hands over in batches, as if one by one.

        If this fails, Dagster stores them one by one; if only the run's own file failed, the asset's page then shows
        them twice. A batch holds planned events, or events of one kind and one asset.
        """
        (run_id,) = {event.run_id for event in events}
        rows = [self._event_to_row(event) for event in events]
        # First the file that many processes write to: if it is busy for too long, nothing is stored twice.
        with self.index_connection() as index:
            index.execute(SqlEventLogStorageTable.insert(), rows)
            # SQLite numbers the rows of one transaction without a gap.
            (last_id,) = index.execute(text("SELECT last_insert_rowid()")).one()
            events_and_ids = [*zip(events, range(last_id - len(rows) + 1, last_id + 1), strict=True)]
            of_assets = [
                (event, number) for event, number in events_and_ids if event.dagster_event_type in ASSET_EVENTS
            ]
            self._store_asset_event_tags(index, [event for event, _ in of_assets], [number for _, number in of_assets])
            # The record of an asset names its last event.
            last = {event.get_dagster_event().asset_key: (event, number) for event, number in of_assets}
            for event, number in last.values():
                self._store_asset_event(index, event, number)
        with self.run_connection(run_id) as run_file:
            run_file.execute(SqlEventLogStorageTable.insert(), rows)
        self._show_to_watchers(run_id)
        for event, number in events_and_ids:
            if event.dagster_event_type in ASSET_CHECK_EVENTS:
                self.store_asset_check_event(event, number)
