"""The Dagster instance of ``dagster.yaml``: events that belong together are stored together.

A backfill of many windows is many events: two for each asset and window. Dagster can hand them to its storage in
batches, but its SQLite storage takes a batch apart and commits each event by itself, in two files.
"""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

import dagster as dg
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage, _event_logs_directory
from dagster._serdes import ConfigurableClassData
from sqlalchemy import text

EVENTS_AT_ONCE = 1_000
"""Events of a batch, unless DAGSTER_EVENT_BATCH_SIZE says otherwise; 0 is one by one."""


class BatchingInstance(dg.DagsterInstance):
    """An instance that has events stored in batches, in SQLite below its folder unless ``storage`` is configured."""

    @staticmethod
    def config_schema() -> Mapping[str, Any]:
        """Settings of its own: none."""
        return {}

    @staticmethod
    def config_defaults(base_dir: str) -> Mapping[str, ConfigurableClassData | None]:
        """What ``dagster.yaml`` leaves open: Dagster's own defaults, but for the storage of events."""
        storage = ConfigurableClassData(
            BatchingSqliteStorage.__module__, BatchingSqliteStorage.__name__, json.dumps({"base_dir": base_dir})
        )
        return {**InstanceRef.config_defaults(base_dir), "storage": storage}

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
    """Dagster's SQLite event log with one transaction a batch in each of the two files that hold an event."""

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store ``events`` of one run, of the kinds that Dagster hands over in batches, as one after the other.

        If this fails, Dagster stores them one by one; if only the run's own file failed, the asset's page shows them
        twice then. A batch holds planned events, or else what one asset has had, of one kind.
        """
        (run_id,) = {event.run_id for event in events}
        rows = [self._event_to_row(event) for event in events]
        # First the file that many processes write to: if it cannot be had, nothing was stored twice.
        with self.index_connection() as index:
            index.execute(SqlEventLogStorageTable.insert(), rows)
            # SQLite numbers the rows of one transaction without a gap.
            (last_id,) = index.execute(text("SELECT last_insert_rowid()")).one()
            numbered = [*zip(events, range(last_id - len(rows) + 1, last_id + 1), strict=True)]
            of_assets = [(event, number) for event, number in numbered if event.dagster_event_type in ASSET_EVENTS]
            self._store_asset_event_tags(index, [event for event, _ in of_assets], [number for _, number in of_assets])
            # Of each asset the last event is told.
            last = {event.get_dagster_event().asset_key: (event, number) for event, number in of_assets}
            for event, number in last.values():
                self._store_asset_event(index, event, number)
        with self.run_connection(run_id) as run_file:
            run_file.execute(SqlEventLogStorageTable.insert(), rows)
        for event, number in numbered:
            if event.dagster_event_type in ASSET_CHECK_EVENTS:
                self.store_asset_check_event(event, number)
