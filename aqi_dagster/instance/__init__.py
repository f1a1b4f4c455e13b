"""Dagster's own records: its event log, written in batches, and the runs whose processes died.

Others use :mod:`event_log` and :mod:`dead_runs`. Only this room relies on the internals of Dagster.
"""

# The name by which the dagster.yaml of every installation asks for it; our own code imports it from its module.
from aqi_dagster.foreign_warnings import leave_out_log_lines
from aqi_dagster.instance.event_log import BatchingInstance as BatchingInstance

# Each of Dagster's processes imports this room, to open the instance.
leave_out_log_lines()
