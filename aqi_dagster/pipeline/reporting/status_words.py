"""What ``aqi-dagster status`` prints of a store, in words."""

from datetime import datetime

from aqi_dagster.pipeline.numbers import counted
from aqi_dagster.pipeline.reporting.outdated_words import (
    misplaced_in_words,
    outdated_health_in_words,
    outdated_scores_in_words,
    outdated_verdicts_in_words,
)
from aqi_dagster.pipeline.reporting.pull_words import before_in_words
from aqi_dagster.pipeline.reporting.status import StoreStatus
from aqi_dagster.pipeline.verdicts.outbox.attempts import Untold
from aqi_dagster.pipeline.verdicts.outbox.channels import SLACK
from aqi_dagster.windows import WindowRange

MISPLACED_SHOWN = 5

UNTOLD_SHOWN = 5


def status_rows(summary: StoreStatus) -> list[tuple[str, str]]:
    """What the store holds, and the ranges that mend what is missing or outdated."""
    rows = [
        (
            "readings",
            f"{summary.readings:,} of {summary.sensors} sensors, newest {time_in_words(summary.newest_reading)}",
        ),
        ("rejected messages", f"{summary.rejected:,}"),
        ("windows scored", f"{summary.windows_scored}, newest {time_in_words(summary.newest_window)}"),
        ("windows with a verdict", _counts(summary.verdicts)),
        ("alerts", _counts(summary.alerts)),
        *((f"alerts by {channel}", _counts(counts)) for channel, counts in summary.deliveries.items()),
        *(("not told", _untold(alert)) for alert in summary.untold[:UNTOLD_SHOWN]),
    ]
    if len(summary.untold) > UNTOLD_SHOWN:
        rows.append(("not told", f"and {len(summary.untold) - UNTOLD_SHOWN} more"))
    if summary.before_first_window:
        rows.insert(1, ("never scored", before_in_words(summary.before_first_window, summary.first_window)))
    unscored = summary.unscored
    if unscored is not None:
        rows.append(("to materialize", f"{unscored.windows} ({unscored.readings:,} readings were never scored)"))
    outdated = [
        (summary.outdated.windows, outdated_scores_in_words(summary.outdated)),
        (summary.outdated_health.windows, outdated_health_in_words(summary.outdated_health)),
        (summary.outdated_verdicts.windows, outdated_verdicts_in_words(summary.outdated_verdicts)),
    ]
    ranges = [windows for windows, _ in outdated if windows is not None]
    if ranges:
        mending = WindowRange(min(windows.first for windows in ranges), max(windows.last for windows in ranges))
        words = "; ".join(reason for windows, reason in outdated if windows is not None)
        rows.append(("to materialize again", f"{mending} ({words})"))
    return rows + [("to classify again", misplaced_in_words(sensor)) for sensor in summary.misplaced[:MISPLACED_SHOWN]]


def _untold(alert: Untold) -> str:
    channel = "Slack" if alert.channel == SLACK else alert.channel
    state = "waits" if alert.status == "pending" else f"is {alert.status}"
    return (
        f"{channel}: alert {alert.alert_id} ({alert.verdict} in {alert.region}, {time_in_words(alert.window_start)}) "
        f"{state} after {counted(alert.attempts, 'attempt')}: {alert.outcome}"
    )


def time_in_words(moment: datetime | None) -> str:
    """A moment to the minute, or "none"."""
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "none"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items()) or "none"
