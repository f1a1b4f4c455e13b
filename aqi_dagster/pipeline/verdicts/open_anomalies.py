"""The notebook rules on the window that is still open: smoke now by the anomalies of the last three hours."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.detection.anomalies import Thresholds
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.detection.scoring import score_in_memory
from aqi_dagster.pipeline.health.corrected_hours import SMOKE_PM25
from aqi_dagster.pipeline.health.judge_windows import RegionOf
from aqi_dagster.pipeline.health.present import BLOCKS, HOUR, Present
from aqi_dagster.pipeline.store.sql import scalar
from aqi_dagster.pipeline.verdicts.anomaly_summary import Anomaly, AnomalySummary
from aqi_dagster.pipeline.verdicts.notebook_rules import NotebookRules
from aqi_dagster.pipeline.verdicts.regional_window import Evidence
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, window_start

MOST_BEHIND = 4
"""Windows, the open one among them, that a look scores in memory; a pipeline farther behind has to catch up first."""

_LAST_SCORED = "SELECT max(window_start) FROM windows WHERE scored IS NOT NULL AND window_start >= ?"

_STORED = """
SELECT sensor, created_at, pm25_cf1
FROM anomalies
WHERE created_at >= $since AND window_start BETWEEN $first AND $last
"""


def find_open_anomalies(
    connection: DuckDBPyConnection,
    as_of: datetime,
    first_window: datetime,
    parameters: DetectorParameters,
    thresholds: Thresholds,
) -> list[Anomaly] | None:
    """The anomalies of the twelve hours before ``as_of``; None if too many windows wait to be scored.

    Detectors go on from their stored states over what was not scored yet, in memory alone.
    """
    since, present = as_of - WINDOW_LENGTH, window_start(as_of)
    last = scalar(connection, _LAST_SCORED, [first_window])
    unscored = first_window if last is None else last + WINDOW_LENGTH
    if (present - unscored) // WINDOW_LENGTH >= MOST_BEHIND:
        return None
    found = connection.execute(_STORED, {"since": since, "first": window_start(since), "last": present}).fetchall()
    if unscored <= present:
        for scored in score_in_memory(connection, WindowRange(unscored, present), first_window, parameters):
            found += _above(scored, thresholds)
    return [Anomaly(*row) for row in found if since <= row[1] < as_of]


def _above(scored: pa.Table, thresholds: Thresholds) -> list[tuple[str, datetime, float]]:
    above = pc.and_(pc.greater(scored["score"], thresholds.score), pc.greater(scored["pm25_cf1"], thresholds.pm25))
    rows = scored.filter(above).select(["sensor", "created_at", "pm25_cf1"]).to_pylist()
    return [tuple(row.values()) for row in rows]


def judge_by_anomalies(
    presents: Sequence[Present],
    anomalies: Sequence[Anomaly] | None,
    region_of: RegionOf,
    smoke_since: Mapping[str, datetime],
) -> list[Present]:
    """``presents`` with what the notebook rules make of ``anomalies``; unknown if there are none to be had.

    ``smoke_since`` says of regions with smoke, as the last look saw it, when that began. Anomalies tell that smoke
    began, not that it ended: detectors take it for normal after some hours. It goes on while the level is one of smoke.
    """
    if anomalies is None:
        return [replace(present, smoke=[None] * len(present.smoke), began=None) for present in presents]
    by_region: dict[str | None, list[Anomaly]] = defaultdict(list)
    for anomaly in anomalies:
        by_region[region_of(anomaly.sensor)].append(anomaly)
    return [_judge(present, by_region[present.region], smoke_since.get(present.region)) for present in presents]


def _judge(present: Present, anomalies: Sequence[Anomaly], since: datetime | None) -> Present:
    oldest = len(present.levels) - 1
    is_smoke = since is not None and since <= present.as_of - oldest * HOUR
    smoke: list[bool | None] = []
    for back in range(oldest, -1, -1):
        level = present.levels[back]
        goes_on = is_smoke and level is not None and level >= SMOKE_PM25
        is_smoke = goes_on or _by_rules(present.region, anomalies, present.as_of - back * HOUR)
        smoke.insert(0, is_smoke if present.reporting[back] else None)
    hours = next((back for back, smoky in enumerate(smoke) if not smoky), len(smoke))
    begin = present.as_of - (hours - 1 + BLOCKS) * HOUR
    seen = [one.created_at for one in anomalies if one.created_at >= begin]
    return replace(present, smoke=smoke, began=min(seen, default=begin) if smoke[0] else None)


def _by_rules(region: str, anomalies: Sequence[Anomaly], end: datetime) -> bool:
    recent = [one for one in anomalies if end - BLOCKS * HOUR <= one.created_at < end]
    verdict = NotebookRules().judge(Evidence(region, window_start(end), AnomalySummary.of(recent)))
    return verdict is not None and verdict.verdict == "smoke"
