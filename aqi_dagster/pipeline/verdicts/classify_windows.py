"""Classifying windows: anomalies gathered by region, judged, and queued for Slack where that is news."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.detection.anomalies import Thresholds
from aqi_dagster.pipeline.health.health_table import SensorHealth, health_by_window
from aqi_dagster.pipeline.regions.base import Regions
from aqi_dagster.pipeline.store.portions import parts_of, readings_of
from aqi_dagster.pipeline.store.requirements import require_judged, require_scored, require_selected
from aqi_dagster.pipeline.store.sql import Writer, transaction
from aqi_dagster.pipeline.store.window_ledger import record_verdicts, settings_hash
from aqi_dagster.pipeline.verdicts.anomaly_summary import NO_ANOMALIES, AnomalySummary
from aqi_dagster.pipeline.verdicts.conditions import read_conditions
from aqi_dagster.pipeline.verdicts.early_warning import unconfirmed
from aqi_dagster.pipeline.verdicts.neighbours import find_neighbours
from aqi_dagster.pipeline.verdicts.notebook_rules import NotebookRules
from aqi_dagster.pipeline.verdicts.outbox.queue import (
    queue_alerts,
    queue_due_moments,
    queue_sensor_alerts,
    supersede_sensor_alerts,
)
from aqi_dagster.pipeline.verdicts.regional_window import (
    Evidence,
    RegionalWindow,
    Rules,
    overwrite_regional_windows,
)
from aqi_dagster.pipeline.verdicts.rule_changes import NETWORK, record_rules
from aqi_dagster.pipeline.verdicts.stored_anomalies import summarize_stored
from aqi_dagster.progress import Progress, unwatched
from aqi_dagster.windows import WindowRange, utc_now

NOTEBOOK_RULES = NotebookRules()
NOTEBOOK_THRESHOLDS = Thresholds()

_PLACED = """
SELECT sensor, region, min(window_start), max(window_start)
FROM (SELECT region, window_start, unnest(sensors) AS sensor FROM regional_windows)
GROUP BY sensor, region
ORDER BY sensor, region
"""

WINDOWS_CLASSIFIED = "windows classified"

READINGS_AT_ONCE = 1_000_000
"""Readings of the windows that are judged at once, or of a single one: the health of their sensors is in memory."""


@dataclass(frozen=True)
class Misplaced:
    """A sensor that stored verdicts count to ``region``, to which it does not belong, between ``windows``."""

    sensor: str
    region: str
    windows: WindowRange


def verdicts_hash(thresholds: Thresholds, regions: Regions, rules: Rules = NOTEBOOK_RULES) -> str:
    """SHA-256, hexadecimal, of the settings that verdicts follow from, and of the edition of the ``rules``."""
    return settings_hash(thresholds.hash(), list(regions.settings), rules.name, edition=rules.edition)


def classify_windows(
    writer: Writer,
    windows: WindowRange,
    regions: Regions,
    thresholds: Thresholds = NOTEBOOK_THRESHOLDS,
    rules: Rules = NOTEBOOK_RULES,
    now: datetime | None = None,
    progress: Progress = unwatched,
) -> dict[datetime, list[RegionalWindow]]:
    """Overwrite the regional windows of ``windows`` and return them by window (start).

    All of it is one transaction, together with the alerts that the verdicts call for: so a verdict is never stored
    without its alert. ``thresholds`` are those by which the anomalies were selected. Raises
    :class:`UnscoredWindowsError` and :class:`OutdatedAnomaliesError` if the anomalies do not follow from all readings,
    by these thresholds, and :class:`UnjudgedWindowsError` if the ``rules`` need the health of sensors that was never
    judged. ``now`` (naive UTC) is another moment than the present one, for those who replay the past.
    """
    now = now or utc_now()
    require_scored(writer, windows)
    require_selected(writer, windows, thresholds.hash())
    if rules.judges_all_sensors:
        require_judged(writer, windows)
    judged: dict[datetime, list[RegionalWindow]] = {}
    progress(WINDOWS_CLASSIFIED, 0, len(windows))
    for part in parts_of(windows, readings_of(writer, windows), READINGS_AT_ONCE):
        judged |= _with_neighbours(writer, *judge_stored(writer, part, regions, rules))
        progress(WINDOWS_CLASSIFIED, len(judged), len(windows))
    with transaction(writer):
        record_rules(writer, rules.name, now)
        overwrite_regional_windows(writer, windows, chain.from_iterable(judged.values()))
        record_verdicts(writer, windows, verdicts_hash(thresholds, regions, rules))
        _queue(writer, windows, rules, now)
    return judged


def _queue(writer: Writer, windows: WindowRange, rules: Rules, now: datetime) -> None:
    """Queue what is news about the verdicts of ``windows``."""
    queue_alerts(writer, windows, now)
    if rules.name == NETWORK:
        queue_sensor_alerts(writer, windows, now)
    else:
        supersede_sensor_alerts(writer)
    conditions = read_conditions(writer).values()
    queue_due_moments(writer, lambda last: unconfirmed(writer, conditions, last, windows, now))


def judge_stored(
    connection: DuckDBPyConnection, windows: WindowRange, regions: Regions, rules: Rules
) -> tuple[dict[datetime, list[RegionalWindow]], dict[datetime, list[SensorHealth]]]:
    """What ``rules`` say of ``windows`` by what is stored, and the health it follows from, both by window (start)."""
    anomalies, health = summarize_stored(connection, windows, regions.region_of), health_by_window(connection, windows)
    judged = {start: judge_regions(start, anomalies[start], rules, health[start]) for start in windows}
    return judged, health


def judge_regions(
    window_start: datetime,
    anomalies: Mapping[str, AnomalySummary],
    rules: Rules = NOTEBOOK_RULES,
    health: Sequence[SensorHealth] = (),
) -> list[RegionalWindow]:
    """The regional windows of one window, in order of region name: by its ``anomalies``, by region, and ``health``."""
    health_of: dict[str, list[SensorHealth]] = defaultdict(list)
    for row in health:
        if row.region is not None:
            health_of[row.region].append(row)
    evidence = (
        Evidence(region, window_start, anomalies.get(region, NO_ANOMALIES), health_of[region])
        for region in sorted({*anomalies, *health_of})
    )
    return [window for window in map(rules.judge, evidence) if window is not None]


def misplaced_sensors(connection: DuckDBPyConnection, regions: Regions) -> list[Misplaced]:
    """Sensors that a stored verdict counts to another region than the one they belong to now, as far as that is known.

    A geocoder may have named a sensor's county only after its window was classified.
    """
    rows = connection.execute(_PLACED).fetchall()
    return [
        Misplaced(sensor, region, WindowRange(first, last))
        for sensor, region, first, last in rows
        if regions.known_region_of(sensor) not in (None, region)
    ]


def _with_neighbours(
    connection: DuckDBPyConnection,
    judged: dict[datetime, list[RegionalWindow]],
    health: Mapping[datetime, Sequence[SensorHealth]],
) -> dict[datetime, list[RegionalWindow]]:
    """The same regional windows, each with what its region's other sensors read: page and message show the same."""
    found = find_neighbours(connection, [*chain.from_iterable(judged.values())], health)
    return {
        start: [replace(window, **vars(found[window.region, start])) for window in regional]
        for start, regional in judged.items()
    }
