"""The alerts that Slack and other channels get."""

from collections.abc import Iterator

import dagster as dg

from aqi_dagster.assets.alert_checks import ALERTS_TOLD, OUTCOMES_KNOWN, check_alerts
from aqi_dagster.assets.failures import log_cause
from aqi_dagster.assets.pages import GROUP, Stages, table_metadata
from aqi_dagster.assets.regional_windows import regional_windows
from aqi_dagster.errors import ChannelError
from aqi_dagster.pipeline.reporting.window_numbers import outbox_numbers
from aqi_dagster.resources.channels import ChannelsResource
from aqi_dagster.resources.slack import SlackResource
from aqi_dagster.resources.warehouse import WarehouseResource


@dg.asset(
    deps=[regional_windows],
    group_name=GROUP,
    kinds={"slack", "duckdb"},
    pool="slack",
    hooks={log_cause},
    metadata=table_metadata("slack_alerts"),
    check_specs=[OUTCOMES_KNOWN, ALERTS_TOLD],
)
def slack_alerts(
    context: dg.AssetExecutionContext, slack: SlackResource, channels: ChannelsResource, warehouse: WarehouseResource
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:  # type: ignore[type-arg]
    """Alerts sent to Slack, and to the other channels there are: one per region, window and verdict.

    A run sends whatever is pending, of any window, so it has no partitions. Windows that ended long ago are told
    together in one digest. Without a webhook the alerts are recorded as not sent. The table ``deliveries`` has what
    came of telling the other channels. The checks are evaluated also where a channel takes nothing, and so the run
    fails.
    """
    stages = Stages()
    failure = None
    try:
        with stages.stage("send"):
            report = slack.dispatch(warehouse.store, warehouse.source, channels.configured())
    except ChannelError as error:
        failure = error
    with stages.stage("publish"):
        warehouse.store.publish()
    with warehouse.store.reader() as copy:
        numbers = outbox_numbers(copy)
        yield from check_alerts(copy, slack.digest_after)
    if failure is not None:
        raise failure
    context.log.info(str(report))
    yield dg.MaterializeResult(
        metadata={
            "sent": report.sent,
            "digested": report.digested,
            "not_sent": report.not_sent,
            **{f"sent_by_{channel}": number for channel, number in report.elsewhere.items()},
            "dagster/row_count": numbers["rows"],
            "still_pending": numbers["pending"],
            "recorded_as_not_sent": numbers["not_sent"],
            **stages.metadata,
        }
    )
