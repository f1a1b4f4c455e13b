"""The pipeline's own job in this process, with its own definitions, settings and Dagster instance."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from aqi_dagster.definitions import defs
from aqi_dagster.partitions import range_tags
from aqi_dagster.pipeline.store.connections import Store
from tests.support.topics import Topic
from tests.support.waiting import LIMIT_SECONDS


@dataclass
class MicroBatch:
    """The job ``micro_batch`` as the settings of the environment make it."""

    topic: Topic
    folder: Path
    monkeypatch: pytest.MonkeyPatch
    instance: dg.DagsterInstance

    def __post_init__(self) -> None:
        """Point the settings to the topic and the folder."""
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": self.topic.servers,
            "KAFKA_TOPIC": self.topic.name,
            "KAFKA_TIMEOUT_SECONDS": str(LIMIT_SECONDS),
            "KAFKA_CONFIG_FETCH_WAIT_MAX_MS": "50",
            "AQI_DATA_DIR": str(self.folder),
        }
        for name, value in settings.items():
            self.monkeypatch.setenv(name, value)

    @property
    def store(self) -> Store:
        """The store that the job writes."""
        return Store(self.folder, lock_timeout=LIMIT_SECONDS)

    @property
    def published(self) -> Path:
        """The published copy."""
        return self.store.published

    def run(self, first: str, last: str, assets: Sequence[str] | None = None) -> dg.ExecuteInProcessResult:
        """Materialize the windows from key ``first`` to ``last``, of some assets or all; the run must succeed."""
        job = defs().resolve_job_def("micro_batch")
        selection = None if assets is None else [dg.AssetKey(asset) for asset in assets]
        return job.execute_in_process(instance=self.instance, tags=range_tags(first, last), asset_selection=selection)

    def checks(self, first: str, last: str) -> dict[str, dg.AssetCheckEvaluation]:
        """How the checks of such a run came out, by name."""
        return {found.check_name: found for found in self.run(first, last).get_asset_check_evaluations()}
