"""``python -m aqi_dagster.instance`` is ``python -m dagster`` without log lines that nobody can act on."""

import runpy

from aqi_dagster.foreign_warnings import leave_out_log_lines

leave_out_log_lines()
runpy.run_module("dagster", run_name="__main__", alter_sys=True)
