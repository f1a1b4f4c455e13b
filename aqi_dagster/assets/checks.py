"""Asset checks: what an operator should look at although every run succeeded.

Each is evaluated inside the step that materializes its asset, on the connection that the step has open: a step of its
own would cost Dagster as much as a window costs us, and more with every year of partitions.

What the pipeline got wrong, such as lost messages, is an error. What the world does to it is a warning: sensors and
producers fail now and then. Sensors are judged by the newest window alone, so a backfill of old ones raises no alarm.
"""

from collections.abc import Sequence
from datetime import datetime

import dagster as dg
from duckdb import DuckDBPyConnection

from aqi_dagster.partitions import FIRST_WINDOW
from aqi_dagster.pipeline.detection.anomalies import Thresholds
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.readings.accounting import PulledMessages, missing_offsets, unaccounted_messages
from aqi_dagster.pipeline.readings.silent_sensors import sensors_reporting
from aqi_dagster.pipeline.regions.base import Regions
from aqi_dagster.pipeline.reporting.outdated_words import (
    misplaced_in_words,
    outdated_health_in_words,
    outdated_scores_in_words,
    outdated_verdicts_in_words,
)
from aqi_dagster.pipeline.store.outdated import outdated_health, outdated_scores, outdated_verdicts
from aqi_dagster.pipeline.store.window_ledger import newest_window
from aqi_dagster.pipeline.verdicts.classify import misplaced_sensors, verdicts_hash
from aqi_dagster.pipeline.verdicts.health import regions_hash
from aqi_dagster.pipeline.verdicts.implausible import absurd_readings
from aqi_dagster.pipeline.verdicts.regional_window import Rules
from aqi_dagster.pipeline.verdicts.sensor_health import read_health
from aqi_dagster.windows import window_key

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

SENSORS_REPORT = dg.AssetCheckSpec(
    "sensors_report",
    asset="readings",
    description="Each sensor that reported in the day before the newest window has reported in it or since.",
)

VALUES_PLAUSIBLE = dg.AssetCheckSpec(
    "values_plausible",
    asset="sensor_health",
    description=(
        "In the newest window no sensor has a fault (lasers that disagree, the impossible, the very same, nothing, far "
        "from its neighbours), and no stored reading is beyond what any instrument can report."
    ),
)

HEALTH_UP_TO_DATE = dg.AssetCheckSpec(
    "health_up_to_date",
    asset="sensor_health",
    description=(
        "The health of sensors follows from all readings of its window and of the 21 days before, by the present "
        "regions."
    ),
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
        description=_named([str(fault) for fault in wrong]) or "Rows and offsets agree.",
    )


def few_messages_rejected(pulled: PulledMessages, max_share: float) -> dg.AssetCheckResult:
    """Evaluate :data:`FEW_MESSAGES_REJECTED`; ``max_share`` from 0 to 1."""
    share = pulled.rejected_share
    reasons = ", ".join(f"{reason} ({count})" for reason, count in pulled.rejected.items())
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


def sensors_report(connection: DuckDBPyConnection, last_asked: datetime) -> dg.AssetCheckResult:
    """Evaluate :data:`SENSORS_REPORT`; ``last_asked`` is the last window of the run."""
    window = newest_window(connection, last_asked)
    found = sensors_reporting(connection, window)
    if found.silent:
        silent = [f"{sensor} (last reading {last:%Y-%m-%d %H:%M})" for sensor, last in found.silent.items()]
        of_all = f"{len(silent)} of {len(silent) + found.reporting} sensors"
        description = f"{of_all} fell silent before window {window_key(window)}, UTC: {_named(silent)}."
    elif not found.reporting:
        description = (
            f"No sensor has reported in window {window_key(window)} or since: see whether the producer still sends."
        )
    else:
        description = f"All {found.reporting} sensors report."
    return dg.AssetCheckResult(
        check_name=SENSORS_REPORT.name,
        passed=found.reporting > 0 and not found.silent,
        severity=dg.AssetCheckSeverity.WARN,
        description=description,
        metadata={
            "reporting_sensors": found.reporting,
            "silent_sensors": len(found.silent),
            "silent": {sensor: last.isoformat(" ") for sensor, last in found.silent.items()},
        },
    )


def values_plausible(connection: DuckDBPyConnection, last_asked: datetime) -> dg.AssetCheckResult:
    """Evaluate :data:`VALUES_PLAUSIBLE`; ``last_asked`` is the last window of the run."""
    window = newest_window(connection, last_asked)
    faulty = [f"{row.sensor}: {row.reason}" for row in read_health(connection, window) if row.fault is not None]
    absurd = [f"{sensor} ({count} readings)" for sensor, count in absurd_readings(connection).items()]
    sentences = []
    if absurd:
        sentences.append(f"Beyond what any instrument can report, from a release that took it in: {_named(absurd)}.")
    if faulty:
        sentences.append(f"Not to be believed in window {window_key(window)}, UTC: {_named(faulty)}.")
    return dg.AssetCheckResult(
        check_name=VALUES_PLAUSIBLE.name,
        passed=not sentences,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(sentences) or "What the sensors read can be true.",
        metadata={
            "implausible_sensors": len(faulty),
            "implausible": faulty,
            "sensors_with_absurd_readings": len(absurd),
        },
    )


def health_up_to_date(connection: DuckDBPyConnection, regions: Regions) -> dg.AssetCheckResult:
    """Evaluate :data:`HEALTH_UP_TO_DATE` for these ``regions``."""
    outdated = outdated_health(connection, FIRST_WINDOW, regions_hash(regions))
    description = "The health of all sensors is as one pass over all readings gives it."
    if outdated.windows is not None:
        description = f"{outdated_health_in_words(outdated)}: materialize {outdated.windows} in one run."
    return dg.AssetCheckResult(
        check_name=HEALTH_UP_TO_DATE.name,
        passed=outdated.windows is None,
        severity=dg.AssetCheckSeverity.WARN,
        description=description,
        metadata={
            "unjudged_windows": outdated.unjudged,
            "stale_windows": outdated.stale,
            "windows_of_other_settings": outdated.other_settings,
        },
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
        description = f"{_named([misplaced_in_words(sensor) for sensor in misplaced])}."
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
            f"{_named(differences)}. The store is right: run the window again to publish anew. If this comes back, "
            "see whether the disk is sound."
        )
    return dg.AssetCheckResult(
        check_name=COPY_EQUALS_STORE.name,
        passed=not differences,
        severity=dg.AssetCheckSeverity.ERROR,
        description=description,
        metadata={"differing_tables": len(differences)},
    )


def _named(things: Sequence[str]) -> str:
    """The first :data:`MOST_NAMED` of ``things``, and how many there are besides."""
    more = len(things) - MOST_NAMED
    return "; ".join(things[:MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
