"""Running jobs through the Dagster instance from the command line, in this process.

Each run is recorded like one that was launched in the UI: its events, logs and materialized partitions show there.
"""

from collections.abc import Callable
from uuid import uuid4

import dagster as dg

from aqi_dagster.assets.pull_metadata import recorded_numbers
from aqi_dagster.automation import look_now, micro_batch, tell_slack
from aqi_dagster.definitions import defs
from aqi_dagster.errors import RunFailedError
from aqi_dagster.instance.dead_runs import announce, give_up_dead_runs, tags_of_command
from aqi_dagster.instance.following import follow
from aqi_dagster.instance.troubles import cause_of
from aqi_dagster.partitions import NO_WINDOW_YET, WINDOWS, range_tags
from aqi_dagster.pipeline.reporting.pull_words import PullNumbers

_OF_CODE_LOCATION = {".dagster/repository": "__repository__@aqi_dagster.definitions"}
"""Tag by which the UI finds the runs of a job; Dagster adds it to the runs of its webserver and daemon."""

_STEPS = {
    "readings": "pulls what is new in Kafka",
    "sensor_health": "judges the health of the sensors",
    "scored_readings": "scores each reading",
    "anomalies": "selects what is far above normal",
    "regional_windows": "reaches the verdicts, and publishes the copy",
    "conditions": "pulls what is new in Kafka, and judges the air now",
    "slack_alerts": "sends the alerts that wait",
}
"""What each step of a run does."""

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


Say = Callable[[str], object]
"""Called with each line that tells of a run while it goes on."""


def run_windows(
    first: str, last: str, on_pulled: Callable[[PullNumbers], None] | None = None, say: Say | None = None
) -> None:
    """Materialize the windows from partition key ``first`` to ``last`` in one run, as a backfill would.

    ``say`` is told what the run does meanwhile. ``on_pulled`` is called with the numbers of the run's pull once the run
    has ended, also if a later step failed. Raises :class:`RunFailedError` with the cause of each failed step.
    """
    if not WINDOWS.get_last_partition_key():
        raise RunFailedError(NO_WINDOW_YET)
    missing = [key for key in (first, last) if not WINDOWS.has_partition_key(key)]
    if missing:
        raise RunFailedError(
            f"There is no window {missing[0]} to materialize: windows go from {WINDOWS.get_first_partition_key()} "
            f"(AQI_FIRST_WINDOW) to {WINDOWS.get_last_partition_key()}, the newest that has ended."
        )
    result = _run(micro_batch.name, range_tags(first, last), say)
    numbers = recorded_numbers(result.all_events)
    if on_pulled is not None and numbers is not None:
        on_pulled(numbers)
    _require_success(result)


def run_look(say: Say | None = None) -> None:
    """Look at the open window. Raises :class:`RunFailedError` with the cause of a failure."""
    _require_success(_run(look_now.name, {}, say))


def run_alerts(say: Say | None = None) -> None:
    """Send the pending alerts. Raises :class:`RunFailedError` with the cause of a failure."""
    _require_success(_run(tell_slack.name, {}, say))


def _run(job: str, tags: dict[str, str], say: Say | None) -> dg.ExecuteInProcessResult:
    definition = defs().resolve_job_def(job)
    run_id = str(uuid4())
    with dg.DagsterInstance.get() as instance:
        give_up_dead_runs(instance)
        if say is not None:
            follow(instance, run_id, _STEPS, say)
        with announce(instance, run_id):
            return definition.execute_in_process(
                run_config=_QUIET,
                instance=instance,
                run_id=run_id,
                tags=tags | tags_of_command(run_id) | _OF_CODE_LOCATION,
                raise_on_error=False,
            )


def _require_success(result: dg.ExecuteInProcessResult) -> None:
    if result.success:
        return
    failures = [event for event in result.all_events if event.is_step_failure]
    causes = [f"{event.step_key}: {cause_of(event.step_failure_data.error)}" for event in failures]
    raise RunFailedError(f"Run {result.run_id} of {result.job_def.name} failed. " + "; ".join(causes))
