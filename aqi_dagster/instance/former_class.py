"""The instance that ``dagster.yaml`` of release 0.1 names; it goes with the release after the next one."""

import json
import logging
from collections.abc import Mapping
from typing import Any

import dagster as dg

NEW_LINES = """\
event_log_storage:
  module: aqi_dagster.instance
  class: BatchingSqliteEventLog
  config: {}
"""

WARNING = f"""\
dagster.yaml in DAGSTER_HOME names an instance_class, which the next release no longer has. Replace the four lines \
from `instance_class:` by

{NEW_LINES}
or, if the file has `storage:` (Postgres), only remove them. Dagster's records stay where they are.
"""

_log = logging.getLogger(__name__)


class BatchingInstance(dg.DagsterInstance):
    """Dagster's own instance, with events stored in batches unless ``storage`` is configured."""

    @staticmethod
    def config_schema() -> Mapping[str, Any]:
        """Settings of its own: none."""
        return {}

    @staticmethod
    def config_defaults(base_dir: str) -> Mapping[str, Any]:
        """Defaults for what ``dagster.yaml`` does not configure: Dagster's own, except for the storage of events."""
        from dagster._core.instance.ref import InstanceRef
        from dagster._serdes import ConfigurableClassData

        _log.warning(WARNING)
        events = ConfigurableClassData(
            "aqi_dagster.instance", "BatchingSqliteEventLog", json.dumps({"dagster_home": base_dir})
        )
        defaults = {**InstanceRef.config_defaults(base_dir), "event_log_storage": events}
        parts = {name: defaults[name] for name in ("run_storage", "event_log_storage", "schedule_storage")}
        together = json.dumps({name: part._asdict() for name, part in parts.items() if part is not None})
        storage = ConfigurableClassData("dagster._core.storage.legacy_storage", "CompositeStorage", together)
        return {**defaults, "storage": storage}
