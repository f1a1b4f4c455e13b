"""What Dagster's records say is the matter: runs that failed, checks that do, ticks of schedules that never came."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

from aqi_dagster import errors
from aqi_dagster.pipeline.alerts.troubles import Findings, Trouble
from aqi_dagster.pipeline.numbers import counted

TICK_PATIENCE_SECONDS = 600.0
"""How late a tick may come: a daemon that was restarted catches up."""

SETTLED_SECONDS = 5.0
"""How long ago a run must have ended: Dagster says a moment later whether it will be tried again."""

_WILL_RETRY = "dagster/will_retry"

_BACKFILL = "dagster/backfill"

_OF_ASSETS = "__ASSET_JOB"
"""Dagster's own job, by which assets are materialized from their pages."""


def recorded_troubles(
    instance: dg.DagsterInstance, location: dg.RepositoryDefinition | None, after: float, until: float, now: float
) -> Findings:
    """All that is found here: of runs that ended between two moments, and of the checks and schedules of ``location``.

    Moments are in seconds since 1970.
    """
    found = failed_runs(instance, after, until)
    if location is None:
        return found
    checks = failing_checks(instance, sorted(location.asset_graph.asset_check_keys))
    return found + checks + missed_ticks(instance, location.schedule_defs, now)


def failed_runs(instance: dg.DagsterInstance, after: float, until: float) -> Findings:
    """The runs that ended in that time (seconds since 1970), by job: it is well if its last one succeeded.

    A run that is tried again does not count. Many of one job are one trouble.
    """
    ended = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE],
        updated_after=datetime.fromtimestamp(after - SETTLED_SECONDS, UTC),
    )
    records = [one for one in instance.get_run_records(ended) if after < (one.end_time or 0.0) <= until]
    of_job = defaultdict(list)
    for record in sorted(records, key=lambda record: record.end_time or 0.0):
        if record.dagster_run.tags.get(_WILL_RETRY) != "true":
            of_job[_key(record.dagster_run)].append(record)
    troubles, well = [], set()
    for key, its_records in of_job.items():
        failed = [one for one in its_records if one.dagster_run.status == dg.DagsterRunStatus.FAILURE]
        if failed:
            troubles.append(_trouble_of_runs(instance, key, failed))
        if its_records[-1] not in failed:
            well.add(key)
    return Findings(troubles, frozenset(well))


def _key(run: dg.DagsterRun) -> str:
    """The same for all runs of a job; of assets that somebody asked for, for a backfill, or a run and its repeats."""
    if run.job_name != _OF_ASSETS:
        return f"run {run.job_name}"
    return f"run {run.tags.get(_BACKFILL) or run.root_run_id or run.run_id}"


def _trouble_of_runs(instance: dg.DagsterInstance, key: str, failed: Sequence[dg.RunRecord]) -> Trouble:
    first = failed[0]
    run = first.dagster_run
    job = "assets that somebody asked for" if run.job_name == _OF_ASSETS else run.job_name
    title = f"A run of {job} failed" if len(failed) == 1 else f"{len(failed):,} runs of {job} failed"
    return Trouble(
        key=key,
        title=title,
        detail=_cause_of_run(instance, run.run_id),
        since=first.end_time or 0.0,
        path=f"/runs/{run.run_id}",
        is_over_by_itself=run.job_name == _OF_ASSETS,
    )


def _cause_of_run(instance: dg.DagsterInstance, run_id: str) -> str:
    failures = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    for entry in failures:
        event = entry.get_dagster_event()
        return f"{event.step_key}: {cause_of(event.step_failure_data.error)}"
    return "its process died, or it could not be started"


def cause_of(error: SerializableErrorInfo | None) -> str:
    """The message of a failed step's error: that of our own error with its advice, or else of the innermost one."""
    ours = {kind.__name__ for kind in vars(errors).values() if isinstance(kind, type)}
    message = "no error was recorded"
    while error is not None:
        message = error.message.strip()
        if error.cls_name in ours:
            break
        error = error.cause
    return message


def failing_checks(instance: dg.DagsterInstance, keys: Iterable[dg.AssetCheckKey]) -> Findings:
    """The checks whose last evaluation warns or fails; one that is being evaluated stays as it was."""
    troubles, well = [], set()
    for key in keys:
        record = instance.get_latest_asset_check_evaluation_record(key)
        if record is None or record.event is None or record.status.value == "PLANNED":
            continue
        name = f"check {key.name} of {key.asset_key.to_user_string()}"
        evaluation = record.event.get_dagster_event().asset_check_evaluation_data
        if evaluation.passed:
            well.add(name)
            continue
        does = "warns" if evaluation.severity == dg.AssetCheckSeverity.WARN else "fails"
        troubles.append(
            Trouble(
                key=name,
                title=f"The check {key.name} of {key.asset_key.to_user_string()} {does}",
                detail=evaluation.description or "",
                since=record.event.timestamp,
                path=f"/assets/{key.asset_key.to_user_string()}?view=checks",
            )
        )
    return Findings(troubles, frozenset(well))


def missed_ticks(instance: dg.DagsterInstance, schedules: Iterable[dg.ScheduleDefinition], now: float) -> Findings:
    """The schedules that are on and whose last tick is missing, or could not be evaluated."""
    states = defaultdict(list)
    for state in instance.all_instigator_state():
        if state.instigator_type.value == "SCHEDULE":
            states[state.name].append(state)
    troubles, well = [], set()
    for schedule in schedules:
        running = [state for state in states[schedule.name] if state.is_running]
        if not running:
            continue
        # Where the code location was started in another way before, Dagster still has what it noted of that.
        found = [_trouble_of_ticks(instance, schedule, state, now) for state in running]
        trouble = None if None in found else max(filter(None, found), key=lambda one: one.since)
        if trouble is None:
            well.add(f"schedule {schedule.name}")
        else:
            troubles.append(trouble)
    return Findings(troubles, frozenset(well))


def _trouble_of_ticks(
    instance: dg.DagsterInstance, schedule: dg.ScheduleDefinition, state: Any, now: float
) -> Trouble | None:
    due = _last_due(schedule, now - TICK_PATIENCE_SECONDS)
    key, path = f"schedule {schedule.name}", f"/automation?search={schedule.name}"
    began: float | None = getattr(state.instigator_data, "start_timestamp", None)
    ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
    newest = ticks[0] if ticks else None
    if newest is not None and newest.status.value == "FAILURE":
        detail = cause_of(newest.error)
        return Trouble(key, f"A tick of the schedule {schedule.name} failed", detail, newest.timestamp, path)
    known_since = began if newest is None else newest.timestamp
    if known_since is None or known_since >= due or (began or 0.0) > due:
        return None
    late = counted(int((now - due) // 60), "minute")
    last = (
        "there was none"
        if newest is None
        else f"the last was at {datetime.fromtimestamp(newest.timestamp, UTC):%Y-%m-%d %H:%M} UTC"
    )
    return Trouble(
        key,
        f"A tick of the schedule {schedule.name} is missing",
        f"it is {late} late, and {last}: see whether the daemon runs",
        due,
        path,
    )


def _last_due(schedule: dg.ScheduleDefinition, before: float) -> float:
    # No public function tells when a schedule was due; loading the definitions shall not depend on this one.
    from dagster._utils.schedules import reverse_cron_string_iterator

    crons = [schedule.cron_schedule] if isinstance(schedule.cron_schedule, str) else [*schedule.cron_schedule]
    times = (islice(reverse_cron_string_iterator(before, cron, schedule.execution_timezone), 1) for cron in crons)
    return max(time.timestamp() for found in times for time in found)
