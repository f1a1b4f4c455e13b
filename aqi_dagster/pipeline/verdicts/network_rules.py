"""The verdict on a region in a window by its healthy sensors: rule E of the network rules.

A region's level is the median over its healthy sensors of the mean of their hours, corrected as EPA does. Sensors that
are not healthy are named, and say nothing about the air.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from aqi_dagster.pipeline.aqi import aqi, category
from aqi_dagster.pipeline.health.comparison import distance_km
from aqi_dagster.pipeline.health.corrected_hours import SMOKE_PM25
from aqi_dagster.pipeline.health.health_table import SensorHealth
from aqi_dagster.pipeline.verdicts.regional_window import Confidence, Evidence, RegionalWindow, Verdict
from aqi_dagster.windows import WINDOW_LENGTH

MIN_SMOKE_HOURS = 6
"""Corrected hours at the level of smoke, or more, that a single witness must have."""


@dataclass(frozen=True)
class Assessment:
    """The sensors of a region in a window by what they count for, each in order of its text; ``level`` in ug/m3.

    ``level`` is None if there is no sensor to judge by. ``disputed`` are two sensors of which one must be wrong.
    """

    level: float | None
    healthy: list[SensorHealth]
    disputed: list[SensorHealth]
    local: list[SensorHealth]
    broken: list[SensorHealth]


@dataclass(frozen=True)
class Judgement:
    """The verdict on a region in a window (start), how sure it is (of smoke alone), and why, in one sentence.

    ``level`` is the corrected PM2.5 of the region in ug/m3, None if there is no sensor to judge by.
    """

    region: str
    window_start: datetime
    verdict: Verdict
    confidence: Confidence | None
    level: float | None
    healthy_sensors: list[str]
    broken_sensors: list[str]
    reason: str


class NetworkRules:
    """The network's rules, as :class:`~.regional_window.Rules`: a region is judged by its healthy sensors."""

    name = "network"
    edition = 1
    judges_all_sensors = True

    def judge(self, evidence: Evidence) -> RegionalWindow | None:
        """The regional window of the sensors' health; None if nothing is the matter. Anomalies are only counted."""
        judgement = judge(evidence.region, evidence.window_start, evidence.health)
        if judgement is None:
            return None
        summary = evidence.anomalies
        index = None if judgement.level is None else aqi(judgement.level)
        return RegionalWindow(
            region=judgement.region,
            window_start=judgement.window_start,
            window_end=judgement.window_start + WINDOW_LENGTH,
            sensors=summary.sensors,
            count_sensors=len(summary.sensors),
            count_anomalies=summary.count,
            min_event=summary.min_event,
            max_pm25=summary.max_pm25,
            variation=None,
            verdict=judgement.verdict,
            max_pm25_corrected=summary.max_corrected,
            aqi_of_max=index,
            aqi_category=None if index is None else category(index).name,
            rules=self.name,
            level=judgement.level,
            healthy_sensors=judgement.healthy_sensors,
            broken_sensors=judgement.broken_sensors,
            confidence=judgement.confidence,
            reason=judgement.reason,
        )


def judge(region: str, window: datetime, health: Iterable[SensorHealth]) -> Judgement | None:
    """The judgement on ``region`` in ``window`` (start) by its sensors' ``health``; None if nothing is the matter.

    Rows of other regions and windows are left aside.
    """
    assessment = assess(row for row in health if row.region == region and row.window_start == window)
    if (outcome := _outcome(assessment)) is None:
        return None
    verdict, confidence, reason = outcome
    return Judgement(
        region=region,
        window_start=window,
        verdict=verdict,
        confidence=confidence,
        level=assessment.level,
        healthy_sensors=[row.sensor for row in assessment.healthy],
        broken_sensors=[row.sensor for row in assessment.broken],
        reason=reason,
    )


def assess(health: Iterable[SensorHealth]) -> Assessment:
    """What the ``health`` of one region's sensors in one window comes to."""
    rows = sorted(health, key=lambda row: row.sensor)
    healthy = [row for row in rows if row.is_healthy]
    disputed = [row for row in rows if row.in_dispute]
    level = None
    if healthy:
        level = median(row.corrected_pm25 for row in healthy)
    elif disputed:
        level = max(row.corrected_pm25 for row in disputed)
    return Assessment(
        level=level,
        healthy=healthy,
        disputed=disputed,
        local=[row for row in rows if row.is_local],
        broken=[row for row in rows if row.fault is not None],
    )


def _outcome(assessment: Assessment) -> tuple[Verdict, Confidence | None, str] | None:
    """Verdict, confidence and reason; the first that fits."""
    if assessment.level is not None and assessment.level >= SMOKE_PM25:
        if len(assessment.healthy) >= 2:
            return "smoke", "high", _smoke(assessment)
        (witness,) = assessment.healthy or [max(assessment.disputed, key=lambda row: row.corrected_pm25)]
        if witness.hours_above_35 >= MIN_SMOKE_HOURS:
            return "smoke", "low", _one_witness(assessment, witness)
        return "undecided", None, _one_witness(assessment, witness)
    if assessment.local:
        return "smoke", "low", _local_smoke(assessment)
    if assessment.broken:
        return "malfunction", None, _malfunction(assessment)
    return None


def _smoke(assessment: Assessment) -> str:
    return (
        f"The middle one of {len(assessment.healthy)} healthy sensors averaged {assessment.level:,.0f} ug/m3 "
        f"(corrected), {SMOKE_PM25:g} or more."
    )


def _one_witness(assessment: Assessment, witness: SensorHealth) -> str:
    hours = witness.hours_above_35
    subject = "The only healthy sensor"
    if not assessment.healthy:
        lower, higher = sorted(row.mean_pm25 for row in assessment.disputed)
        subject = f"Of two sensors that read {lower:,.0f} and {higher:,.0f} ug/m3 the higher"
    averaged = f"{subject} averaged {assessment.level:,.0f} ug/m3 (corrected)"
    if hours >= MIN_SMOKE_HOURS:
        return f"{averaged}, and {hours} of its hours had {SMOKE_PM25:g} or more."
    return (
        f"{averaged}, but only {hours} of its hours had {SMOKE_PM25:g} or more: too few to tell smoke by one sensor, "
        f"which takes {MIN_SMOKE_HOURS}."
    )


def _local_smoke(assessment: Assessment) -> str:
    means = [row.mean_pm25 for row in assessment.local]
    read = f"{min(means):,.0f}" if len(means) == 1 else f"{min(means):,.0f} to {max(means):,.0f}"
    region = (
        "far more than the others" if assessment.level is None else f"while the region reads {assessment.level:,.0f}"
    )
    return f"{_subject(assessment.local)} read {read} {region}: smoke, but local."


def _subject(local: list[SensorHealth]) -> str:
    if len(local) == 1:
        return "One sensor whose two lasers agree"
    if len(local) == 2 and (distance := distance_km(local[0].sensor, local[1].sensor)) is not None:
        return f"Two sensors {max(distance, 1):,.0f} km apart"
    return f"{len(local)} sensors"


def _malfunction(assessment: Assessment) -> str:
    faulty = f"{len(assessment.broken)} sensors are faulty" if len(assessment.broken) > 1 else "One sensor is faulty"
    if assessment.level is None:
        return f"{faulty}, and no healthy one is there to judge the air by."
    return f"{faulty}, and the air is below {SMOKE_PM25:g} ug/m3 (corrected): {assessment.level:,.0f}."
