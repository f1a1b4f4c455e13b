"""Runs that the command line started and whose process died before it could say so: killed, out of memory, power cut.

No launcher of Dagster's watches such a process. Its run would count as running for ever and hold its place in a pool,
and every later run, scheduled ones too, would wait for it silently. So a command holds a file lock during its run, and
the operating system releases the lock however the process ends.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout

_BY_COMMAND = {"aqi_dagster/started_by": "command line"}

_RUN_OF_COMMAND = "aqi_dagster/run_of_command"
"""The tag whose value is the run's own id. A run that is re-executed from the page runs in a process of Dagster's, but
inherits the tags of its parent, and so the id of another run."""

_UNDER_WAY = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

_log = logging.getLogger(__name__)


def tags_of_command(run_id: str) -> dict[str, str]:
    """Tags of a run that a command starts, by which :func:`give_up_dead_runs` finds it."""
    return {**_BY_COMMAND, _RUN_OF_COMMAND: run_id}


@contextmanager
def announce(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Hold the lock of run ``run_id`` during the block; then free the places of the run in pools.

    A run that is interrupted does not free its places itself.
    """
    path = _lock_path(instance, run_id)
    path.parent.mkdir(exist_ok=True)
    with FileLock(path):
        try:
            yield
        finally:
            instance.event_log_storage.free_concurrency_slots_for_run(run_id)
            path.unlink(missing_ok=True)


def give_up_dead_runs(instance: dg.DagsterInstance) -> None:
    """Mark the runs of commands that died as failed, and free their places in pools."""
    for run in instance.get_runs(dg.RunsFilter(statuses=_UNDER_WAY, tags=_BY_COMMAND)):
        # Runs of releases before this one have no such tag, and count as their own unless they were re-executed.
        if run.tags.get(_RUN_OF_COMMAND, run.root_run_id or run.run_id) != run.run_id:
            continue
        path = _lock_path(instance, run.run_id)
        path.parent.mkdir(exist_ok=True)
        try:
            with FileLock(path, timeout=0):
                now = instance.get_run_by_id(run.run_id)
                if now is None or now.status not in _UNDER_WAY:
                    # The run ended, or was deleted, after it was listed and before this lock was acquired.
                    path.unlink(missing_ok=True)
                    continue
                _log.warning("run %s of %s died with its process: marking it as failed", run.run_id, run.job_name)
                # In this order: a process that is killed between the two leaves a run that is found dead again.
                instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
                instance.report_run_failed(run, "The process of the command that started this run is gone.")
                path.unlink(missing_ok=True)
        except Timeout:
            continue


def _lock_path(instance: dg.DagsterInstance, run_id: str) -> Path:
    return Path(instance.root_directory) / "commands" / f"{run_id}.lock"
