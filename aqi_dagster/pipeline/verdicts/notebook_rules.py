"""Smoke or a malfunctioning sensor: the verdict on the anomalies of one region in one window.

The rules are the streaming notebook's. Smoke spreads, so two sensors that are anomalous in the same window mean
smoke. A single sensor must be anomalous at least :data:`MIN_ANOMALIES` times and with little scatter: its
coefficient of variation may not exceed :data:`MAX_VARIATION`.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from scipy.stats import variation

from aqi_dagster.pipeline.regions.base import Regions
from aqi_dagster.pipeline.verdicts.aqi import aqi, category
from aqi_dagster.windows import WINDOW_LENGTH

MIN_ANOMALIES = 10
MAX_VARIATION = 0.3

Verdict = Literal["smoke", "malfunction"]


@dataclass(frozen=True)
class Anomaly:
    """One anomalous reading; ``created_at`` in naive UTC, ``pm25`` (CF=1) in ug/m3.

    ``pm25_corrected`` is what EPA's correction makes of it, None where it is not known.
    """

    sensor: str
    created_at: datetime
    pm25: float
    pm25_corrected: float | None = None


@dataclass(frozen=True)
class RegionalWindow:
    """One region in one 12-hour window, in the order and meaning of the columns of ``regional_windows``."""

    region: str
    window_start: datetime
    window_end: datetime
    sensors: list[str]
    count_sensors: int
    count_anomalies: int
    min_event: datetime
    max_pm25: float
    variation: float | None
    verdict: Verdict
    max_pm25_corrected: float | None = None
    aqi_of_max: int | None = None
    aqi_category: str | None = None


def classify(window_start: datetime, anomalies: Iterable[Anomaly], regions: Regions) -> list[RegionalWindow]:
    """The regional windows that ``anomalies`` of one window make up, in order of region name."""
    by_region = defaultdict(list)
    for anomaly in anomalies:
        by_region[regions.region_of(anomaly.sensor)].append(anomaly)
    return [_regional_window(region, window_start, members) for region, members in sorted(by_region.items())]


def judge(count_sensors: int, values: list[float]) -> tuple[Verdict, float | None]:
    """The verdict on anomalous PM2.5 ``values`` (in time order) and their variation where the rule looks at it.

    >>> judge(1, [500.0] * 9)
    ('malfunction', None)
    >>> judge(1, [500.0] * 10)
    ('smoke', 0.0)
    >>> judge(2, [500.0, 60.0])
    ('smoke', None)
    """
    if count_sensors >= 2:
        return "smoke", None
    if len(values) < MIN_ANOMALIES:
        return "malfunction", None
    scatter = float(variation(values))
    return ("malfunction" if scatter > MAX_VARIATION else "smoke"), scatter


def _regional_window(region: str, window_start: datetime, anomalies: list[Anomaly]) -> RegionalWindow:
    ordered = sorted(anomalies, key=lambda anomaly: (anomaly.created_at, anomaly.sensor))
    sensors = sorted({anomaly.sensor for anomaly in ordered})
    values = [anomaly.pm25 for anomaly in ordered]
    verdict, scatter = judge(len(sensors), values)
    corrected = [anomaly.pm25_corrected for anomaly in ordered if anomaly.pm25_corrected is not None]
    index = aqi(max(corrected)) if corrected else None
    return RegionalWindow(
        region=region,
        window_start=window_start,
        window_end=window_start + WINDOW_LENGTH,
        sensors=sensors,
        count_sensors=len(sensors),
        count_anomalies=len(values),
        min_event=ordered[0].created_at,
        max_pm25=max(values),
        variation=scatter,
        verdict=verdict,
        max_pm25_corrected=max(corrected, default=None),
        aqi_of_max=index,
        aqi_category=None if index is None else category(index).name,
    )
