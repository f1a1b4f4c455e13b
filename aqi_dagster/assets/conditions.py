"""The air of each region now, by what the window that is still open holds so far."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from aqi_dagster import defaults
from aqi_dagster.assets.checks import FEW_MESSAGES_REJECTED, few_messages_rejected
from aqi_dagster.assets.failures import log_cause
from aqi_dagster.assets.pages import GROUP, Stages, table_metadata
from aqi_dagster.assets.readings import readings
from aqi_dagster.errors import StoreBusyError
from aqi_dagster.partitions import FIRST_WINDOW
from aqi_dagster.pipeline.readings.accounting import PulledMessages, pulled_messages
from aqi_dagster.pipeline.verdicts.conditions import Condition
from aqi_dagster.pipeline.verdicts.look import Judging, look
from aqi_dagster.progress import Lines
from aqi_dagster.resources.detectors import DetectorResource, ThresholdsResource
from aqi_dagster.resources.kafka import KafkaResource
from aqi_dagster.resources.regions import RegionsResource
from aqi_dagster.resources.rules import RulesResource
from aqi_dagster.resources.warehouse import WarehouseResource
from aqi_dagster.windows import utc_now

FEW_OF_LOOKS_REJECTED = dg.AssetCheckSpec(
    FEW_MESSAGES_REJECTED.name,
    asset="conditions",
    description="Of the messages of the newest look, no greater share than AQI_MAX_REJECTED_SHARE was rejected.",
)
"""Between two runs it is looks that pull: what they reject must not go unnoticed."""


@dg.asset(
    deps=[readings],
    group_name=GROUP,
    kinds={"kafka", "python", "duckdb"},
    hooks={log_cause},
    metadata=table_metadata("conditions"),
    check_specs=[FEW_OF_LOOKS_REJECTED],
)
def conditions(
    context: dg.AssetExecutionContext,
    kafka: KafkaResource,
    regions: RegionsResource,
    rules: RulesResource,
    detector: DetectorResource,
    thresholds: ThresholdsResource,
    warehouse: WarehouseResource,
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Smoke, clear or unknown, by region, at this moment: a look at the window that is still open.

    A run pulls what is new in Kafka and judges the last hours by the rules of the verdicts. It leaves no trace in what
    windows are made from. Behind a long run it waits for a while, and then leaves it at that: the next look comes soon.
    """
    # Not by the pool of the others: whoever waits for a place there waits as long as the longest run.
    store = warehouse.store.with_patience(defaults.LOOK_PATIENCE_SECONDS)
    stages = Stages()
    try:
        with store.exclusive(tracked=True) as writer:
            since = utc_now()
            with stages.stage("pull"):
                report = kafka.pull(writer, Lines(context.log.info))
            pulled = pulled_messages(writer, since)
            with stages.stage("look"):
                known = regions.choice.regions(writer)
                judging = Judging(FIRST_WINDOW, known, rules.rules, detector.parameters, thresholds.thresholds)
                found = look(writer, utc_now(), judging)
        with stages.stage("publish"):
            store.publish()
    except StoreBusyError as busy:
        context.log.warning("This look saw nothing, and the next one comes soon. %s", busy)
        nothing = few_messages_rejected(PulledMessages(0, {}), kafka.max_rejected_share)
        return dg.MaterializeResult(metadata={"waited_in_vain": True}, check_results=[nothing])
    return dg.MaterializeResult(
        metadata=_describe(context, found) | {"pulled_readings": report.accepted} | stages.metadata,
        check_results=[few_messages_rejected(pulled, kafka.max_rejected_share)],
    )


def _describe(context: dg.AssetExecutionContext, found: Sequence[Condition]) -> dict[str, Any]:
    """Log each region; returns how many there are, as metadata."""
    for one in found:
        context.log.info("%s: %s since %s UTC. %s", one.region, one.state, f"{one.since:%Y-%m-%d %H:%M}", one.reason)
    return {
        "dagster/row_count": len(found),
        "smoke": sum(one.state == "smoke" for one in found),
        "unknown": sum(one.state == "unknown" for one in found),
    }
