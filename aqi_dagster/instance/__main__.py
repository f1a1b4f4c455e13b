"""``python -m aqi_dagster.instance`` is ``python -m dagster`` without the log lines that this room leaves out."""

from dagster._cli import cli

cli(prog_name="dagster", auto_envvar_prefix="DAGSTER_CLI")
