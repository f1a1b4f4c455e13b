"""Dagster's records of frequent runs: thousands a month, of which nobody reads more than the last ones."""

from datetime import UTC, datetime, timedelta

import dagster as dg

MOST_AT_ONCE = 50
"""Runs that are removed at once: a tick has a minute."""


def remove_old_runs(instance: dg.DagsterInstance, job: str, kept: timedelta) -> int:
    """Remove the records of finished runs of ``job`` that began longer ago than ``kept``; returns how many."""
    old = dg.RunsFilter(
        job_name=job,
        created_before=datetime.now(UTC) - kept,
        statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED],
    )
    runs = instance.get_runs(old, limit=MOST_AT_ONCE)
    for run in runs:
        instance.delete_run(run.run_id)
    return len(runs)
