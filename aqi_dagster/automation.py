"""The jobs, the schedule that runs the pipeline twice a day, and the sensor that has Slack told."""

from collections.abc import Sequence, Set

import dagster as dg

from aqi_dagster.assets.anomalies import anomalies
from aqi_dagster.assets.readings import readings
from aqi_dagster.assets.regional_windows import regional_windows
from aqi_dagster.assets.scored_readings import scored_readings
from aqi_dagster.assets.slack_alerts import slack_alerts
from aqi_dagster.instance.dead_runs import give_up_dead_runs
from aqi_dagster.partitions import WINDOWS, range_tags

micro_batch = dg.define_asset_job(
    "micro_batch",
    selection=[readings, scored_readings, anomalies, regional_windows],
    executor_def=dg.in_process_executor,
    description="Pull what is new in Kafka, then score, filter and classify the requested windows, in one process.",
)

tell_slack = dg.define_asset_job(
    "tell_slack",
    selection=[slack_alerts],
    executor_def=dg.in_process_executor,
    tags={"dagster/max_retries": "3"},
    description="Send the alerts that are pending.",
)


def due_range(ended: Sequence[str], materialized: Set[str]) -> tuple[str, str] | None:
    """First and last key of the windows that a tick asks for, or None if no window has ended yet.

    ``ended`` holds the keys of all windows that have ended, in order. The newest is run together with the one
    before it, which takes in readings up to 12 hours late, and with everything from the first window that was never
    materialized, which heals missed ticks.
    """
    if not ended:
        return None
    first_missing = next((index for index, key in enumerate(ended) if key not in materialized), len(ended))
    return ended[max(0, min(first_missing, len(ended) - 2))], ended[-1]


@dg.schedule(
    job=micro_batch,
    cron_schedule="10 0,12 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Ten minutes after a window ended: run it, the one before it, and every window that was missed.",
)
def twice_a_day(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """A run of what :func:`due_range` asks for at the tick's own time, however late the tick comes."""
    # What a killed command holds of the pools would have every scheduled run wait for ever.
    give_up_dead_runs(context.instance)
    now = context.scheduled_execution_time
    materialized = context.instance.get_materialized_partitions(regional_windows.key)
    due = due_range(WINDOWS.get_partition_keys(current_time=now), materialized)
    if due is None:
        return dg.SkipReason(f"No window has ended yet: the first one starts at {WINDOWS.start:%Y-%m-%d %H:%M} UTC.")
    return dg.RunRequest(run_key=now.isoformat(), tags=range_tags(*due))


@dg.asset_sensor(
    asset_key=regional_windows.key,
    job=tell_slack,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Whenever a run has materialized regional windows, send the alerts it left behind.",
)
def classified_windows(context: dg.SensorEvaluationContext, asset_event: dg.EventLogEntry) -> dg.RunRequest:
    """A run of ``tell_slack``, named after the other: one that materialized many windows is answered once."""
    return dg.RunRequest(run_key=asset_event.run_id)
