"""Asset checks of the alerts: what Slack or another channel may not have, and what it was not told yet."""

from datetime import timedelta

import dagster as dg
from duckdb import DuckDBPyConnection

from aqi_dagster.assets.checks import named
from aqi_dagster.pipeline.verdicts.outbox.attempts import Untold, untold_alerts
from aqi_dagster.pipeline.verdicts.outbox.channels import SLACK
from aqi_dagster.windows import utc_now, window_key

OUTCOMES_KNOWN = dg.AssetCheckSpec(
    "outcomes_known",
    asset="slack_alerts",
    description="Of every alert that was posted it is known whether Slack, or another channel, took it.",
)

ALERTS_TOLD = dg.AssetCheckSpec(
    "alerts_told",
    asset="slack_alerts",
    description="No alert of a recent window waits although it was tried to be sent.",
)


def check_alerts(connection: DuckDBPyConnection, recent: timedelta) -> list[dg.AssetCheckResult]:
    """Evaluate :data:`OUTCOMES_KNOWN` and :data:`ALERTS_TOLD`; windows are recent that ended within ``recent``."""
    untold = untold_alerts(connection, utc_now(), recent)
    unclear = [alert for alert in untold if alert.status in ("unknown", "refused")]
    waiting = [alert for alert in untold if alert.status == "pending"]
    return [
        dg.AssetCheckResult(
            check_name=OUTCOMES_KNOWN.name,
            passed=not unclear,
            severity=dg.AssetCheckSeverity.ERROR,
            description=(
                f"{_named(unclear)}. Look into the channel, mend what keeps answers from being recorded, and "
                "run `aqi-dagster alert --again`, which sends these once more."
                if unclear
                else "Whatever was posted, its outcome is known."
            ),
            metadata={"unclear_alerts": len(unclear)},
        ),
        dg.AssetCheckResult(
            check_name=ALERTS_TOLD.name,
            passed=not waiting,
            severity=dg.AssetCheckSeverity.WARN,
            description=(
                f"{_named(waiting)}. They are tried again by themselves, in minutes at first."
                if waiting
                else "No recent alert waits after an attempt."
            ),
            metadata={"waiting_alerts": len(waiting)},
        ),
    ]


def _named(alerts: list[Untold]) -> str:
    return named(
        [
            f"alert {alert.alert_id} ({alert.verdict} in {alert.region}, window {window_key(alert.window_start)}) is "
            f"{alert.status}{_where(alert)} after {alert.attempts} attempts: {alert.outcome}"
            for alert in alerts
        ]
    ).rstrip(".")


def _where(alert: Untold) -> str:
    return "" if alert.channel == SLACK else f" by {alert.channel}"
