"""Asset checks: what an operator should look at although every run succeeded.

Each is evaluated inside the step that materializes its asset, on the connection that the step has open: a step of its
own would cost Dagster as much as a window costs us, and more with every year of partitions.
"""

import dagster as dg
from duckdb import DuckDBPyConnection

from aqi_dagster.partitions import FIRST_WINDOW
from aqi_dagster.pipeline.health import missing_offsets, outdated_scores, unaccounted_messages
from aqi_dagster.windows import window_key

EVERY_MESSAGE_ACCOUNTED_FOR = dg.AssetCheckSpec(
    "every_message_accounted_for",
    asset="readings",
    description=(
        "Each message of the last day is exactly one row of `readings` or of `rejected_messages`, and no offset was "
        "ever passed over unnoticed."
    ),
)

SCORES_UP_TO_DATE = dg.AssetCheckSpec(
    "scores_up_to_date",
    asset="scored_readings",
    description=(
        "No readings came after their window was scored, and no window builds on one that was scored anew since."
    ),
)


def every_message_accounted_for(connection: DuckDBPyConnection) -> dg.AssetCheckResult:
    """Evaluate :data:`EVERY_MESSAGE_ACCOUNTED_FOR`."""
    wrong = unaccounted_messages(connection) + missing_offsets(connection)
    return dg.AssetCheckResult(
        check_name=EVERY_MESSAGE_ACCOUNTED_FOR.name,
        passed=not wrong,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(map(str, wrong)) or "Rows and offsets agree.",
    )


def scores_up_to_date(connection: DuckDBPyConnection) -> dg.AssetCheckResult:
    """Evaluate :data:`SCORES_UP_TO_DATE`."""
    outdated = outdated_scores(connection, FIRST_WINDOW)
    description = "Every scored window holds all of its readings."
    if outdated.first is not None and outdated.last is not None:
        description = (
            f"{outdated.late_readings} late readings and {outdated.stale_windows} stale windows: materialize "
            f"{window_key(outdated.first)} to {window_key(outdated.last)} in one run to take them in."
        )
    return dg.AssetCheckResult(
        check_name=SCORES_UP_TO_DATE.name,
        passed=outdated.first is None,
        severity=dg.AssetCheckSeverity.WARN,
        description=description,
        metadata={"late_readings": outdated.late_readings, "stale_windows": outdated.stale_windows},
    )
