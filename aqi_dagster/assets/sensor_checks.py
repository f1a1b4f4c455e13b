"""Asset checks of the sensors themselves: whether they report, what they read, and how their places are written.

They are judged by the newest window alone, so a backfill of old ones raises no alarm.
"""

from datetime import datetime

import dagster as dg
from duckdb import DuckDBPyConnection

from aqi_dagster.assets.checks import named
from aqi_dagster.partitions import FIRST_WINDOW
from aqi_dagster.pipeline.health.health_table import read_health
from aqi_dagster.pipeline.health.sensors_to_judge import all_outdated_health
from aqi_dagster.pipeline.readings.silent_sensors import sensors_reporting, texts_of_one_device
from aqi_dagster.pipeline.regions.base import Regions
from aqi_dagster.pipeline.reporting.outdated_words import outdated_health_in_words
from aqi_dagster.pipeline.store.window_ledger import newest_window
from aqi_dagster.pipeline.verdicts.implausible import absurd_readings
from aqi_dagster.windows import window_key

SENSORS_REPORT = dg.AssetCheckSpec(
    "sensors_report",
    asset="readings",
    description="Each sensor that reported in the day before the newest window has reported in it or since.",
)

VALUES_PLAUSIBLE = dg.AssetCheckSpec(
    "values_plausible",
    asset="sensor_health",
    description=(
        "In the newest window no sensor has a fault, known trouble aside (lasers that disagree, the impossible, the "
        "very same, nothing, far from its neighbours), and no stored reading is beyond what any instrument can report."
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

PLACES_SPELLED_ONCE = dg.AssetCheckSpec(
    "places_spelled_once",
    asset="readings",
    description=(
        "Since the day before the newest window no sensor came under two texts: one place in other digits, or with "
        "and without its index."
    ),
)


def sensors_report(connection: DuckDBPyConnection, last_asked: datetime) -> dg.AssetCheckResult:
    """Evaluate :data:`SENSORS_REPORT`; ``last_asked`` is the last window of the run."""
    window = newest_window(connection, last_asked)
    found = sensors_reporting(connection, window)
    if found.silent:
        silent = [f"{sensor} (last reading {last:%Y-%m-%d %H:%M})" for sensor, last in found.silent.items()]
        of_all = f"{len(silent)} of {len(silent) + found.reporting} sensors"
        description = f"{of_all} fell silent before window {window_key(window)}, UTC: {named(silent)}."
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
    faulty = [
        f"{row.sensor}: {row.reason}"
        for row in read_health(connection, window)
        if row.fault is not None and row.known_trouble is None
    ]
    absurd = [f"{sensor} ({count} readings)" for sensor, count in absurd_readings(connection).items()]
    sentences = []
    if absurd:
        sentences.append(f"Beyond what any instrument can report, from a release that took it in: {named(absurd)}.")
    if faulty:
        sentences.append(f"Not to be believed in window {window_key(window)}, UTC: {named(faulty)}.")
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
    outdated = all_outdated_health(connection, FIRST_WINDOW, regions)
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
            "moved_sensors": outdated.moved_sensors,
            "troubled_sensors": outdated.troubled_sensors,
        },
    )


def places_spelled_once(connection: DuckDBPyConnection, last_asked: datetime) -> dg.AssetCheckResult:
    """Evaluate :data:`PLACES_SPELLED_ONCE`; ``last_asked`` is the last window of the run."""
    found = [" = ".join(texts) for texts in texts_of_one_device(connection, newest_window(connection, last_asked))]
    description = "Every sensor comes under one text."
    if found:
        description = (
            f"One sensor under several texts: {named(found)}. Have the producer write one of them: each has a "
            "detector of its own, which learns but a part. Where sensors are counted they are one."
        )
    return dg.AssetCheckResult(
        check_name=PLACES_SPELLED_ONCE.name,
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description=description,
        metadata={"sensors_under_several_texts": len(found), "several_texts": found},
    )
