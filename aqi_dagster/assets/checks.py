"""Asset checks: what an operator should look at although every run succeeded.

Each is evaluated inside the step that materializes its asset, on the connection that the step has open: a step of its
own would cost Dagster as much as a window costs us, and more with every year of partitions.

What the pipeline got wrong, such as lost messages, is an error. What the world does to it is a warning: sensors and
producers fail now and then (:mod:`sensor_checks`).
"""

from collections.abc import Sequence
from dataclasses import replace

import dagster as dg
from duckdb import DuckDBPyConnection

from aqi_dagster.assets.markdown import as_it_is
from aqi_dagster.partitions import FIRST_WINDOW
from aqi_dagster.pipeline.detection.anomalies import Thresholds
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.readings.accounting import PulledMessages, missing_offsets, unaccounted_messages
from aqi_dagster.pipeline.regions.base import Regions
from aqi_dagster.pipeline.reporting.outdated_words import (
    misplaced_in_words,
    outdated_scores_in_words,
    outdated_verdicts_in_words,
)
from aqi_dagster.pipeline.store.outdated import outdated_scores, outdated_verdicts
from aqi_dagster.pipeline.verdicts.classify_windows import misplaced_sensors, verdicts_hash
from aqi_dagster.pipeline.verdicts.regional_window import Rules

MOST_NAMED = 20
"""Sensors or faults that the text of a check names; the metadata have all of them."""

EVERY_MESSAGE_ACCOUNTED_FOR = dg.AssetCheckSpec(
    "every_message_accounted_for",
    asset="readings",
    description=(
        "Each message of the last day is exactly one row of `readings` or of `rejected_messages`, and no offset was "
        "ever passed over unnoticed."
    ),
)

FEW_MESSAGES_REJECTED = dg.AssetCheckSpec(
    "few_messages_rejected",
    asset="readings",
    description="Of the messages of the newest pull, no greater share than AQI_MAX_REJECTED_SHARE was rejected.",
)

SCORES_UP_TO_DATE = dg.AssetCheckSpec(
    "scores_up_to_date",
    asset="scored_readings",
    description=(
        "No readings came after their window was scored, no window was passed over or builds on one that was scored "
        "anew since, and all were scored from AQI_FIRST_WINDOW on with the present detector parameters."
    ),
)

VERDICTS_UP_TO_DATE = dg.AssetCheckSpec(
    "verdicts_up_to_date",
    asset="regional_windows",
    description=(
        "Every window that was scored was classified after that (no run died in between), by the present thresholds "
        "and regions."
    ),
)

COPY_EQUALS_STORE = dg.AssetCheckSpec(
    "copy_equals_store",
    asset="regional_windows",
    description="The published copy holds what the private store holds, of the run's windows and of the small tables.",
)


def every_message_accounted_for(connection: DuckDBPyConnection) -> dg.AssetCheckResult:
    """Evaluate :data:`EVERY_MESSAGE_ACCOUNTED_FOR`."""
    wrong = unaccounted_messages(connection) + missing_offsets(connection)
    return dg.AssetCheckResult(
        check_name=EVERY_MESSAGE_ACCOUNTED_FOR.name,
        passed=not wrong,
        severity=dg.AssetCheckSeverity.ERROR,
        description=named([str(fault) for fault in wrong]) or "Rows and offsets agree.",
    )


def few_messages_rejected(pulled: PulledMessages, max_share: float) -> dg.AssetCheckResult:
    """Evaluate :data:`FEW_MESSAGES_REJECTED`; ``max_share`` from 0 to 1."""
    share = pulled.rejected_share
    reasons = ", ".join(f"{as_it_is(reason)} ({count})" for reason, count in pulled.rejected.items())
    description = f"{sum(pulled.rejected.values())} of {pulled.messages} messages were rejected."
    if reasons:
        description = f"{description[:-1]}: {reasons}. `rejected_messages` keeps them as they came."
    return dg.AssetCheckResult(
        check_name=FEW_MESSAGES_REJECTED.name,
        passed=share <= max_share,
        severity=dg.AssetCheckSeverity.WARN,
        description=description,
        metadata={"rejected_share": share, "max_rejected_share": max_share, **pulled.rejected},
    )


def scores_up_to_date(connection: DuckDBPyConnection, parameters: DetectorParameters) -> dg.AssetCheckResult:
    """Evaluate :data:`SCORES_UP_TO_DATE` for detectors with ``parameters``."""
    outdated = outdated_scores(connection, FIRST_WINDOW, parameters.hash())
    description = "Every scored window holds all of its readings."
    if outdated.windows is not None:
        description = f"{outdated_scores_in_words(outdated)}: materialize {outdated.windows} in one run."
    return dg.AssetCheckResult(
        check_name=SCORES_UP_TO_DATE.name,
        passed=outdated.windows is None,
        severity=dg.AssetCheckSeverity.WARN,
        description=description,
        metadata={
            "late_readings": outdated.late_readings,
            "stale_windows": outdated.stale_windows,
            "unscored_readings": outdated.unscored_readings,
            "windows_of_other_settings": outdated.other_settings,
        },
    )


def verdicts_up_to_date(
    connection: DuckDBPyConnection, thresholds: Thresholds, regions: Regions, rules: Rules
) -> dg.AssetCheckResult:
    """Evaluate :data:`VERDICTS_UP_TO_DATE` for these ``thresholds``, ``regions`` and ``rules``."""
    outdated = outdated_verdicts(connection, FIRST_WINDOW, thresholds.hash(), verdicts_hash(thresholds, regions, rules))
    misplaced = misplaced_sensors(connection, regions)
    description = "Every verdict follows from the present scores, thresholds, regions and rules."
    if outdated.windows is not None:
        description = f"{outdated_verdicts_in_words(outdated)}: materialize {outdated.windows} in one run."
    elif misplaced:
        shown = [replace(sensor, region=as_it_is(sensor.region)) for sensor in misplaced]
        description = f"{named([misplaced_in_words(sensor) for sensor in shown])}."
    return dg.AssetCheckResult(
        check_name=VERDICTS_UP_TO_DATE.name,
        passed=outdated.windows is None and not misplaced,
        severity=dg.AssetCheckSeverity.WARN,
        description=description,
        metadata={
            "outdated_windows": outdated.count,
            "windows_of_other_settings": outdated.other_settings,
            "misplaced_sensors": len(misplaced),
        },
    )


def copy_equals_store(differences: Sequence[str]) -> dg.AssetCheckResult:
    """Evaluate :data:`COPY_EQUALS_STORE` from what differs."""
    description = "The copy equals the store."
    if differences:
        description = (
            f"{named(differences)}. The store is right: run the window again to publish anew. If this comes back, "
            "see whether the disk is sound."
        )
    return dg.AssetCheckResult(
        check_name=COPY_EQUALS_STORE.name,
        passed=not differences,
        severity=dg.AssetCheckSeverity.ERROR,
        description=description,
        metadata={"differing_tables": len(differences)},
    )


def named(things: Sequence[str]) -> str:
    """The first :data:`MOST_NAMED` of ``things``, and how many there are besides."""
    more = len(things) - MOST_NAMED
    return "; ".join(things[:MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
