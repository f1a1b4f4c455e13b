"""Dagster's own records: its event log, written in batches, and the runs whose processes died.

Others use :mod:`batches`, :mod:`dead_runs` and :mod:`old_looks`. Only this room relies on the internals of Dagster;
docs/dependencies.md lists them.
"""

# By these names the dagster.yaml of an installation asks for them; our own code imports them from their modules.
from aqi_dagster.instance.event_log import BatchingSqliteEventLog as BatchingSqliteEventLog
from aqi_dagster.instance.former_class import BatchingInstance as BatchingInstance
