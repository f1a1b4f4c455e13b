"""The DuckDB store as a Dagster resource."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from duckdb import DuckDBPyConnection
from pydantic import Field, PrivateAttr

from aqi_dagster import defaults
from aqi_dagster.errors import RangeRequiredError
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.polling.liveness import Source, source_of


class WarehouseResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The private store and its published copy.

    The last asset of a run publishes. If a run did not get there, because it failed or had only some of the assets, the
    copy is published when the run ends.
    """

    data_dir: str = Field(description="Folder of the private store and the published aqi.duckdb")
    lock_timeout_seconds: float = Field(
        default=defaults.LOCK_TIMEOUT_SECONDS, description="How long to queue behind another writer"
    )
    memory_limit_mb: int = Field(
        default=defaults.DUCKDB_MEMORY_MB, description="What DuckDB may hold of the private store in memory"
    )

    _store: Store | None = PrivateAttr(default=None)

    @property
    def source(self) -> Source | None:
        """Who is to be named where the store's readings are shown."""
        return source_of(Path(self.data_dir))

    @property
    def store(self) -> Store:
        """The store, which opens and locks nothing before its first use."""
        if self._store is None:
            self._store = Store(Path(self.data_dir), self.lock_timeout_seconds, self.memory_limit_mb)
        return self._store

    @contextmanager
    def exclusive(self) -> Iterator[Writer]:
        """The only open connection to the private store."""
        try:
            with self.store.exclusive() as writer:
                yield writer
        except RangeRequiredError:
            # Whoever is told that the run failed looks into the copy for what to run, perhaps before the run has ended.
            self.store.publish()
            raise

    @contextmanager
    def inspect(self) -> Iterator[DuckDBPyConnection]:
        """A read-only connection to the private store."""
        with self.store.inspect() as connection:
            yield connection

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Publish if the run wrote to the store and did not publish since."""
        self.store.publish()
