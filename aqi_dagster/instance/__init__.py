"""Dagster's own records: its event log, written in batches, and the runs whose processes died.

Others use :mod:`event_log` and :mod:`dead_runs`. Only this room relies on the internals of Dagster.
"""

# The dagster.yaml of every installation imports it from here; our own code imports it from its module.
from aqi_dagster.instance.event_log import BatchingInstance as BatchingInstance
