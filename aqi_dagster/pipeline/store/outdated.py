"""Results that are missing, or differ from those of one pass over all readings, and the range that mends them.

All of it follows from the ledger of windows. ``first_window`` is always the earliest window that may be scored: windows
before it hold readings, but no results.
"""

from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.restart import first_window_to_run
from aqi_dagster.pipeline.store.sql import scalar
from aqi_dagster.pipeline.store.window_ledger import newest_scored
from aqi_dagster.windows import WindowRange

# What is NULL was not recorded, and counts as nothing here and below: FILTER and WHERE pass only what is true.
_OUTDATED_SCORES = """
WITH judged AS (
    SELECT
        window_start,
        CASE WHEN coalesce(scored, 0) = 0 THEN readings ELSE 0 END AS unscored,
        CASE WHEN scored > 0 THEN greatest(readings - scored, 0) ELSE 0 END AS late,
        revision < max(revision) OVER (ORDER BY window_start) AS stale,
        scored > 0 AND (chain_start < $first_window OR parameters_hash <> $parameters_hash) AS of_other_settings
    FROM windows
    WHERE window_start BETWEEN $first_window AND $last_scored
)
SELECT
    coalesce(sum(late), 0)::BIGINT,
    count(*) FILTER (stale),
    coalesce(sum(unscored), 0)::BIGINT,
    count(*) FILTER (of_other_settings),
    min(window_start) FILTER (stale OR late > 0 OR unscored > 0 OR of_other_settings)
FROM judged
"""

_OUTDATED_HEALTH = """
WITH judged AS (
    SELECT
        window_start,
        health_readings IS NULL AS unjudged,
        health_readings <> readings AS late,
        health_revision < max(health_revision) OVER (
            ORDER BY window_start RANGE BETWEEN INTERVAL 21 DAYS PRECEDING AND CURRENT ROW
        ) AS stale,
        health_hash <> $regions_hash AS of_other_settings,
        health_since <> greatest($first_window, window_start - INTERVAL 21 DAYS) AS without_history
    FROM windows
    WHERE readings > 0 AND window_start BETWEEN $first_window AND $last_judged
)
SELECT
    count(*) FILTER (unjudged OR without_history),
    count(*) FILTER (late OR stale),
    count(*) FILTER (of_other_settings),
    min(window_start) FILTER (unjudged OR without_history OR late OR stale OR of_other_settings)
FROM judged
"""

_SCORED_BEFORE = """
SELECT count(*)
FROM windows
WHERE window_start < ? AND scored IS NOT NULL
"""

_LAST_JUDGED = """
SELECT max(window_start)
FROM windows
WHERE readings > 0 AND (scored > 0 OR health_readings > 0)
"""

_JUDGED_BEFORE = """
SELECT count(*)
FROM windows
WHERE window_start < ? AND health_readings IS NOT NULL
"""

_OUTDATED_VERDICTS = """
SELECT
    count(*) FILTER (classified IS DISTINCT FROM revision OR classified_health IS DISTINCT FROM health_revision),
    count(*) FILTER (
        classified IS NOT DISTINCT FROM revision AND classified_health IS NOT DISTINCT FROM health_revision
    ),
    min(window_start),
    max(window_start)
FROM windows
WHERE
    window_start >= $first_window
    AND scored > 0
    AND (
        classified IS DISTINCT FROM revision
        OR classified_health IS DISTINCT FROM health_revision
        OR selection_hash <> $selection_hash
        OR verdicts_hash <> $verdicts_hash
    )
"""

# A window that was scored before it held any reading left the detectors no more than one that was never scored.
_UNSCORED = """
SELECT min(window_start), max(window_start), sum(readings)
FROM windows
WHERE coalesce(scored, 0) = 0 AND readings > 0 AND window_start BETWEEN $first AND $last
"""


@dataclass(frozen=True)
class OutdatedScores:
    """Numbers of outdated scores by their kind, and the range of windows that mends them.

    ``late_readings`` came after their window was scored; ``stale_windows`` build on windows scored anew since;
    ``unscored_readings`` lie in windows of which no reading was scored, passed over or run before they held any;
    ``other_settings`` are windows that were scored by detectors that had learned readings from before the first window,
    or with other parameters, and windows before the first one that are scored at all. ``windows`` is None exactly if
    all of these are 0.
    """

    late_readings: int
    stale_windows: int
    windows: WindowRange | None
    unscored_readings: int = 0
    other_settings: int = 0


@dataclass(frozen=True)
class OutdatedHealth:
    """Windows whose sensors' health is not what one pass over all readings would give, and the range that mends it.

    ``unjudged`` were never judged, or without what they look back to; ``stale`` took in readings since, or look back to
    windows that did; ``other_settings`` were judged with other regions, or lie before the first one. ``moved_sensors``
    are sensors that belong to another region now than in a window, or to none;
    operators know something else of ``troubled_sensors`` now. ``windows`` is None exactly if all are 0.
    """

    unjudged: int
    stale: int
    other_settings: int
    windows: WindowRange | None
    moved_sensors: int = 0
    troubled_sensors: int = 0


@dataclass(frozen=True)
class OutdatedVerdicts:
    """How many windows have verdicts that do not follow from their present scores and health, and what mends them.

    ``other_settings`` counts further windows, whose anomalies or verdicts come from other thresholds, region settings
    or rules. ``windows`` is None exactly if both are 0.
    """

    count: int
    windows: WindowRange | None
    other_settings: int = 0


@dataclass(frozen=True)
class UnscoredReadings:
    """How many readings lie in windows of which no reading was ever scored, and the range of these windows."""

    readings: int
    windows: WindowRange


def outdated_scores(connection: DuckDBPyConnection, first_window: datetime, parameters_hash: str) -> OutdatedScores:
    """What is outdated up to the last scored window, by ``first_window`` and detectors with those parameters."""
    before = scalar(connection, _SCORED_BEFORE, [first_window])
    last = newest_scored(connection)
    if last is None or (last < first_window and not before):
        return OutdatedScores(0, 0, None)
    last = max(last, first_window)
    parameters = {"first_window": first_window, "last_scored": last, "parameters_hash": parameters_hash}
    ((late, stale, unscored, other, first),) = connection.execute(_OUTDATED_SCORES, parameters).fetchall()
    if before:
        # Running the first window drops them.
        first, other = first_window, other + before
    windows = None if first is None else WindowRange(first_window_to_run(connection, first, first_window), last)
    return OutdatedScores(late, stale, windows, unscored, other)


def outdated_health(connection: DuckDBPyConnection, first_window: datetime, regions_hash: str) -> OutdatedHealth:
    """What is outdated between ``first_window`` and the last window that was judged or scored, with those regions."""
    before, last = scalar(connection, _JUDGED_BEFORE, [first_window]), scalar(connection, _LAST_JUDGED)
    if last is None or (last < first_window and not before):
        return OutdatedHealth(0, 0, 0, None)
    last = max(last, first_window)
    parameters = {"first_window": first_window, "last_judged": last, "regions_hash": regions_hash}
    ((unjudged, stale, other, first),) = connection.execute(_OUTDATED_HEALTH, parameters).fetchall()
    if before:
        # Running the first window drops them.
        first, other = first_window, other + before
    windows = None if first is None else WindowRange(first_window_to_run(connection, first, first_window), last)
    return OutdatedHealth(unjudged, stale, other, windows)


def outdated_verdicts(
    connection: DuckDBPyConnection, first_window: datetime, selection_hash: str, verdicts_hash: str
) -> OutdatedVerdicts:
    """Windows from ``first_window`` on that were scored after they were last classified, or by other settings.

    A window of an older release, which did not record its settings, counts as made by the present ones.
    """
    parameters = {"first_window": first_window, "selection_hash": selection_hash, "verdicts_hash": verdicts_hash}
    ((count, other, first, last),) = connection.execute(_OUTDATED_VERDICTS, parameters).fetchall()
    if first is None:
        return OutdatedVerdicts(0, None)
    return OutdatedVerdicts(count, WindowRange(first_window_to_run(connection, first, first_window), last), other)


def unscored_readings(connection: DuckDBPyConnection, windows: WindowRange) -> UnscoredReadings | None:
    """Readings in those of ``windows`` of which no reading was ever scored; None if there are none."""
    ((first, last, readings),) = connection.execute(_UNSCORED, windows.bounds).fetchall()
    return None if first is None else UnscoredReadings(int(readings), WindowRange(first, last))
