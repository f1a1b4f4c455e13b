"""The alerts that Slack gets."""

import dagster as dg

from aqi_dagster.assets.failures import log_cause
from aqi_dagster.assets.pages import GROUP, Stages, table_metadata
from aqi_dagster.assets.regional_windows import regional_windows
from aqi_dagster.pipeline.reporting.window_numbers import outbox_numbers
from aqi_dagster.resources.slack import SlackResource
from aqi_dagster.resources.warehouse import WarehouseResource


@dg.asset(
    deps=[regional_windows],
    group_name=GROUP,
    kinds={"slack", "duckdb"},
    pool="slack",
    hooks={log_cause},
    metadata=table_metadata("slack_alerts"),
)
def slack_alerts(
    context: dg.AssetExecutionContext, slack: SlackResource, warehouse: WarehouseResource
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Alerts sent to Slack: one per region, window and verdict.

    A run sends whatever is pending, of any window, so it has no partitions. Windows that ended long ago are told
    together in one digest. Without a webhook the alerts are recorded as not sent.
    """
    stages = Stages()
    with stages.stage("send"):
        report = slack.dispatch(warehouse.store, warehouse.source)
    with stages.stage("publish"):
        warehouse.store.publish()
    with warehouse.store.reader() as copy:
        numbers = outbox_numbers(copy)
    context.log.info(str(report))
    return dg.MaterializeResult(
        metadata={
            "sent": report.sent,
            "digested": report.digested,
            "not_sent": report.not_sent,
            "dagster/row_count": numbers["rows"],
            "still_pending": numbers["pending"],
            "recorded_as_not_sent": numbers["not_sent"],
            **stages.metadata,
        }
    )
