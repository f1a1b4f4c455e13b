"""The jobs, the schedule that runs the pipeline twice a day, and the sensors that fill gaps and send alerts."""

import os
import time
from datetime import timedelta

import dagster as dg

from aqi_dagster.assets.anomalies import anomalies
from aqi_dagster.assets.conditions import conditions
from aqi_dagster.assets.feed_check import NO_FEED, feed_is_alive, judged
from aqi_dagster.assets.readings import readings
from aqi_dagster.assets.regional_windows import regional_windows
from aqi_dagster.assets.scored_readings import scored_readings
from aqi_dagster.assets.sensor_data import sensor_data
from aqi_dagster.assets.sensor_health import sensor_health
from aqi_dagster.assets.slack_alerts import slack_alerts
from aqi_dagster.errors import StoreError
from aqi_dagster.instance.dead_runs import give_up_dead_runs
from aqi_dagster.instance.old_looks import remove_old_runs
from aqi_dagster.instance.troubles import SETTLED_SECONDS, recorded_troubles
from aqi_dagster.partitions import FIRST_WINDOW, NO_WINDOW_YET, WINDOWS, range_tags, requested_range
from aqi_dagster.pipeline.alerts.channels import Message
from aqi_dagster.pipeline.alerts.heartbeat import beat
from aqi_dagster.pipeline.alerts.silent_feed import silent_feed
from aqi_dagster.pipeline.alerts.troubles import Memory, news, trouble_message
from aqi_dagster.pipeline.store.due import due_ranges
from aqi_dagster.pipeline.store.outdated import unscored_readings
from aqi_dagster.pipeline.verdicts.outbox.attempts import due_again
from aqi_dagster.resources.channels import ChannelsResource, ops_channel
from aqi_dagster.resources.feeds import FeedsResource
from aqi_dagster.resources.slack import SlackResource
from aqi_dagster.resources.warehouse import WarehouseResource
from aqi_dagster.settings import HEARTBEAT_URL, SLACK_OPS_WEBHOOK_URL
from aqi_dagster.windows import WindowRange, utc_now

micro_batch = dg.define_asset_job(
    "micro_batch",
    selection=[readings, sensor_health, scored_readings, anomalies, regional_windows],
    executor_def=dg.in_process_executor,
    description=(
        "Pull what is new in Kafka, judge the health of sensors, then score, filter and classify the requested "
        "windows, in one process."
    ),
)

tell_slack = dg.define_asset_job(
    "tell_slack",
    selection=[slack_alerts],
    executor_def=dg.in_process_executor,
    tags={"dagster/max_retries": "3"},
    description="Send the alerts that are pending.",
)

look_now = dg.define_asset_job(
    "look_now",
    selection=[conditions],
    executor_def=dg.in_process_executor,
    description="Pull what is new in Kafka and judge the air now, before the window that is open ends.",
)

ONE_AT_A_TIME = {"aqi_dagster/series": "micro_batch"}
"""Tag by which dagster.yaml starts the runs of a series one after the other: a window builds on those before it."""


def run_requests(warehouse: WarehouseResource, ended: WindowRange, run_key: str) -> list[dg.RunRequest]:
    """Request runs of the ``ended`` windows that the store lacks, the oldest first, under keys from ``run_key``."""
    with warehouse.store.reader_or_none() as connection:
        ranges = due_ranges(connection, ended)
    keys = [run_key] if len(ranges) == 1 else [f"{run_key} {number}" for number in range(len(ranges))]
    return [
        dg.RunRequest(
            run_key=key,
            tags={**range_tags(*windows.keys), **ONE_AT_A_TIME, "dagster/priority": str(len(ranges) - number)},
        )
        for number, (key, windows) in enumerate(zip(keys, ranges, strict=True))
    ]


@dg.schedule(
    job=micro_batch,
    cron_schedule="10 0,12 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Ten minutes after a window ended: run it, the one before it, and every window that the store lacks.",
)
def twice_a_day(
    context: dg.ScheduleEvaluationContext, warehouse: WarehouseResource
) -> list[dg.RunRequest] | dg.SkipReason:
    """Request runs of the windows that the store lacks, as of the tick's own time, however late the tick comes."""
    # Otherwise every scheduled run would wait for ever for the places in pools that a killed command holds.
    give_up_dead_runs(context.instance)
    now = context.scheduled_execution_time
    ended = WINDOWS.get_partition_keys(current_time=now)
    if not ended:
        return dg.SkipReason(NO_WINDOW_YET)
    return run_requests(warehouse, WindowRange.of_keys(ended[0], ended[-1]), now.isoformat())


_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def look_schedule(minutes: int, kept: timedelta) -> dg.ScheduleDefinition:
    """The schedule of looks, every so many ``minutes`` (a divisor of 60); Dagster's records of them are ``kept``."""

    @dg.schedule(
        name="every_few_minutes",
        job=look_now,
        cron_schedule=f"*/{minutes} * * * *" if minutes < 60 else "0 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Look at the window that is still open, unless the last look is still under way.",
    )
    def every_few_minutes(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        give_up_dead_runs(context.instance)
        remove_old_runs(context.instance, look_now.name, kept)
        if context.instance.get_runs(dg.RunsFilter(job_name=look_now.name, statuses=_UNDER_WAY), limit=1):
            return dg.SkipReason("The last look is still under way.")
        return dg.RunRequest(run_key=context.scheduled_execution_time.isoformat())

    return every_few_minutes


@dg.run_failure_sensor(
    name="lacking_windows",
    monitored_jobs=[micro_batch],
    request_job=micro_batch,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "When a scheduled run failed because it pulled readings of earlier windows that were never scored, run these "
        "first and then the newest window again."
    ),
)
def lacking_windows(
    context: dg.RunFailureSensorContext, warehouse: WarehouseResource
) -> list[dg.RunRequest] | dg.SkipReason:
    """Request runs of the windows for want of which a scheduled run failed; other failures wait for the next tick."""
    run = context.dagster_run
    if run.tags.get("dagster/schedule_name") != twice_a_day.name:
        return dg.SkipReason(f"Run {run.run_id} was not started by the schedule.")
    requested = requested_range(run.tags)
    ended = WindowRange(FIRST_WINDOW, requested.last)
    with warehouse.store.reader_or_none() as connection:
        gap = None if connection is None else unscored_readings(connection, ended)
    if gap is None or gap.windows.first >= requested.first:
        return dg.SkipReason(f"Run {run.run_id} did not fail for want of earlier windows.")
    return run_requests(warehouse, ended, f"after {run.run_id}")


REPORT_SECONDS = 3600.0
"""How long a check that stays as it is goes without a new report."""


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Watch the feeds of the topic: report the check `feed_is_alive` when it changes, and every hour.",
)
def watched_feeds(context: dg.SensorEvaluationContext, feeds: FeedsResource) -> dg.SensorResult | dg.SkipReason:
    """Report how the feeds are, without a run."""
    now = time.time()
    result = judged(feeds, now)
    if result.description == NO_FEED:
        return dg.SkipReason(NO_FEED)
    before, _, at = (context.cursor or "").partition(" ")
    if before == str(result.passed) and 0 <= now - float(at) < REPORT_SECONDS:
        return dg.SkipReason(result.description or "")
    evaluation = dg.AssetCheckEvaluation(
        asset_key=sensor_data.key,
        check_name=feed_is_alive.check_key.name,
        passed=result.passed,
        severity=result.severity,
        description=result.description,
        metadata=result.metadata,
    )
    return dg.SensorResult(asset_events=[evaluation], cursor=f"{result.passed} {now}")


@dg.asset_sensor(
    asset_key=regional_windows.key,
    job=tell_slack,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Whenever a run has materialized regional windows, send the alerts it left behind.",
)
def classified_windows(context: dg.SensorEvaluationContext, asset_event: dg.EventLogEntry) -> dg.RunRequest:
    """Request one run of ``tell_slack`` for each run that materialized regional windows, however many it had."""
    return dg.RunRequest(run_key=asset_event.run_id)


@dg.sensor(
    job=tell_slack,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="While alerts of recent windows wait, try again to send them: after a minute, and then less and less.",
)
def waiting_alerts(
    context: dg.SensorEvaluationContext, slack: SlackResource, warehouse: WarehouseResource
) -> dg.RunRequest | dg.SkipReason:
    """Request a run of ``tell_slack`` once the pause of an alert that waits is over."""
    try:
        with warehouse.store.reader() as copy:
            due = due_again(copy, utc_now(), slack.digest_after)
    except StoreError as error:
        return dg.SkipReason(str(error))
    if due is None:
        return dg.SkipReason("No alert of a recent window waits.")
    if due > utc_now():
        return dg.SkipReason(f"The next alert that waits is tried again at {due:%H:%M:%S} UTC.")
    return dg.RunRequest(run_key=f"due at {due.isoformat()}")


FIRST_LOOK_BACK_SECONDS = 3600.0
"""Of which runs the first look tells: those that ended no longer ago."""


def trouble_sensor(silent_after: timedelta) -> dg.SensorDefinition:
    """The sensor that tells what is the matter with the pipeline itself.

    A topic with nothing new for longer than ``silent_after`` is a trouble, too.
    """

    @dg.sensor(
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Tell, once until it is well again, of runs that failed after their retries, checks that warn or fail, "
            "ticks of schedules that are missing, and a topic that fell silent."
        ),
    )
    def own_troubles(
        context: dg.SensorEvaluationContext,
        warehouse: WarehouseResource,
        slack: SlackResource,
        channels: ChannelsResource,
    ) -> dg.SkipReason:
        tell = ops_channel(channels)
        if tell is None:
            return dg.SkipReason(f"Neither {SLACK_OPS_WEBHOOK_URL} nor any channel of alerts is set.")
        now = time.time()
        memory = Memory.read(context.cursor, now, FIRST_LOOK_BACK_SECONDS)
        seen = max(memory.seen, now - SETTLED_SECONDS)
        recorded = recorded_troubles(context.instance, context.repository_def, memory.seen, seen, now)
        told = news(memory, recorded + silent_feed(warehouse.store, silent_after), seen)
        trouble = tell(Message([], trouble_message(told, slack.dagster_url))) if told else None
        if trouble is not None:
            # The cursor stays: the next tick finds the same.
            return dg.SkipReason(f"Could not be told, and is tried again: {trouble}")
        context.update_cursor(told.memory.written())
        return dg.SkipReason(f"{len(told.new)} new, {len(told.over)} well again, {len(told.memory.told)} still open.")

    return own_troubles


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[micro_batch, look_now, tell_slack],
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="After each run that succeeded, call AQI_HEARTBEAT_URL, so that others notice when none does.",
)
def heartbeat(context: dg.RunStatusSensorContext) -> dg.SkipReason:
    """Call the address, if there is one; a call that fails is in the log, and missed outside."""
    url = os.environ.get(HEARTBEAT_URL)
    if not url:
        return dg.SkipReason(f"{HEARTBEAT_URL} is not set.")
    trouble = beat(url)
    return dg.SkipReason(f"Called {HEARTBEAT_URL}." if trouble is None else f"{HEARTBEAT_URL}: {trouble}.")
