"""The network rules once more, sentence by sentence and sensor by sensor, without arrays and without a stored history.

Slow, and shares nothing with the pipeline's own but ``aqi.py``: to look back, it judges earlier windows once more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import asin, cos, radians, sin, sqrt
from statistics import fmean, median

from aqi_dagster.pipeline.aqi import corrected_pm25


@dataclass(frozen=True)
class Hour:
    """An hour of one sensor: means (ug/m3, percent), least and greatest reading, PM1.0 over PM10, second laser."""

    mean: float
    least: float
    greatest: float
    humidity: float | None = None
    share: float | None = None
    second: float | None = None


@dataclass(frozen=True)
class PlainHealth:
    """What the rules say of one sensor in one window."""

    fault: str | None
    new: bool
    on_probation: bool
    in_dispute: bool
    local: bool
    unlike: bool
    healthy: bool
    down: float | None
    up: float | None


@dataclass(frozen=True)
class PlainVerdict:
    """What the rules say of a region in one window."""

    verdict: str | None
    confidence: str | None
    level: float | None


Air = Mapping[datetime, Mapping[str, list[Hour]]]
"""The hours of each sensor of one region by window."""


class PlainRules:
    """The rules over all windows of one region."""

    def __init__(self, air: Air) -> None:
        self.air = air
        self._compared: dict[datetime, dict[str, PlainHealth]] = {}

    def judge(self, window: datetime) -> PlainVerdict:
        """Rule E."""
        health = self.health(window)
        healthy = [corrected_mean(self.air[window][s]) for s, row in health.items() if row.healthy]
        disputed = [s for s, row in health.items() if row.in_dispute]
        level = median(healthy) if healthy else None
        witness = next((s for s, row in health.items() if row.healthy), None)
        if not healthy and disputed:
            witness = max(disputed, key=lambda s: corrected_mean(self.air[window][s]))
            level = corrected_mean(self.air[window][witness])
        if level is not None and level >= 35.5:
            if len(healthy) >= 2:
                return PlainVerdict("smoke", "high", level)
            assert witness is not None
            if sum(correct(hour) >= 35.5 for hour in self.air[window][witness]) >= 6:
                return PlainVerdict("smoke", "low", level)
            return PlainVerdict("undecided", None, level)
        if any(row.local for row in health.values()):
            return PlainVerdict("smoke", "low", level)
        if any(row.fault for row in health.values()):
            return PlainVerdict("malfunction", None, level)
        return PlainVerdict(None, None, level)

    def health(self, window: datetime) -> dict[str, PlainHealth]:
        """Rules A to D."""
        today = self.compared(window)
        unlike = {s for s, row in today.items() if row.healthy and self.is_unlike(s, window)}
        return {
            s: PlainHealth(**{**vars(row), "unlike": s in unlike, "healthy": row.healthy and s not in unlike})
            for s, row in today.items()
        }

    def is_unlike(self, sensor: str, window: datetime) -> bool:
        """Rule D of one healthy sensor."""
        if sum(row.healthy for row in self.compared(window).values()) < 3:
            return False
        rows = [
            self.compared(earlier)[sensor]
            for earlier in sorted(self.air)
            if window - timedelta(days=14) <= earlier <= window and sensor in self.air[earlier]
        ]
        downs = [row.down for row in rows if row.down is not None][-6:]
        ups = [row.up for row in rows if row.up is not None][-6:]
        down, up = rows[-1].down, rows[-1].up
        assert up is not None
        fades = len(downs) == 6 and median(downs) < 0.25 and (down is None or down < 0.5)
        return fades or (len(ups) == 6 and median(ups) > 4 and up > 2)

    def compared(self, window: datetime) -> dict[str, PlainHealth]:
        """Rules A to C, and the ratios of rule D."""
        if window not in self._compared:
            self._compared[window] = self._compare(window)
        return self._compared[window]

    def _compare(self, window: datetime) -> dict[str, PlainHealth]:
        hours = self.air[window]
        part = [s for s in hours if takes_part(hours[s])]
        faults = {s: self.own_fault(s, window) for s in hours}
        week = [w for w in self.air if window - timedelta(days=7) <= w < window]
        new = {s for s in part if not any(takes_part(self.air[w].get(s, [])) for w in week)}
        if len(new) == len(part):
            new = set()
        failed = {s for w in week for s in self.air[w] if self.own_fault(s, w) in ("impossible", "flat", "stuck")}
        probation = {s for s in part if faults[s] is None and s in failed}
        candidates = [s for s in part if faults[s] is None and s not in new and s not in probation]
        means = {s: mean_of(hours[s]) for s in hours}
        dispute: set[str] = set()
        if len(candidates) == 2:
            lower, higher = sorted(means[s] for s in candidates)
            dispute = set(candidates) if higher > 5 * max(lower, 25) else set()
        low, high = set(), set()
        for s in candidates if len(candidates) >= 3 else []:
            verdict = low_or_high(means[s], [means[o] for o in candidates if o != s])
            low |= {s} if verdict == "low" else set()
            high |= {s} if verdict == "high" else set()
        for s in probation if len(candidates) >= 2 else []:
            faults[s] = low_or_high(means[s], [means[o] for o in candidates])
        local = {s for s in high if lasers_agree(hours[s], 0.3) or any(o != s and distance(s, o) <= 10 for o in high)}
        for s in low:
            faults[s] = "low"
        for s in high - local:
            faults[s] = "high"
        healthy = {s for s in candidates if s not in low | high | dispute}
        ratios: dict[str, tuple[float | None, float | None]] = dict.fromkeys(hours, (None, None))
        for s in candidates if len(healthy) >= 3 else []:
            d = median(means[o] for o in healthy if o != s)
            ratios[s] = (None if d < 10 else means[s] / d, means[s] / max(d, 5))
        return {
            s: PlainHealth(
                faults[s], s in new, s in probation, s in dispute, s in local, False, s in healthy, *ratios[s]
            )
            for s in hours
        }

    def own_fault(self, sensor: str, window: datetime) -> str | None:
        """Rule A."""
        hours = self.air[window][sensor]
        both = [(h.mean, h.second) for h in hours if h.second is not None]
        apart = [(a, b) for a, b in both if abs(a - b) > 20 and abs(a - b) > 0.61 * (a + b) / 2]
        if len(hours) >= 2 and both and len(apart) >= len(both) / 2:
            return "disagree"
        if any(h.mean > 6_000 for h in hours):
            return "impossible"
        if enough([h.mean > 2_000 for h in hours]) and not lasers_agree(hours, 0.61):
            return "impossible"
        if enough([h.mean > 50 and h.share is not None and h.share > 0.9 for h in hours]):
            return "flat"
        if not takes_part(hours):
            return None
        least, greatest = min(h.least for h in hours), max(h.greatest for h in hours)
        means = [h.mean for h in hours]
        if least == greatest > 0 or (mean_of(hours) > 20 and max(means) - min(means) < mean_of(hours) / 100):
            return "stuck"
        return "dead" if self.is_dead(sensor, window) else None

    def is_dead(self, sensor: str, window: datetime) -> bool:
        """The last of the own faults, for a sensor that takes part."""
        earlier = sorted(w for w in self.air if w < window and takes_part(self.air[w].get(sensor, [])))[-5:]
        if len(earlier) < 5 or earlier[0] < window - timedelta(days=7):
            return False
        if any(highest(self.air[w][sensor]) >= 1 for w in [*earlier, window]):
            return False
        others = [s for s in self.air[window] if s != sensor and takes_part(self.air[window][s])]
        reached = [
            max(
                highest(self.air[w][s])
                for w in self.air
                if earlier[0] <= w <= window and takes_part(self.air[w].get(s, []))
            )
            for s in others
        ]
        return bool(reached) and median(reached) > 5


def takes_part(hours: list[Hour]) -> bool:
    """Six hours or more."""
    return len(hours) >= 6


def mean_of(hours: list[Hour]) -> float:
    """The mean of the hour means."""
    return fmean(hour.mean for hour in hours)


def highest(hours: list[Hour]) -> float:
    """The highest hour mean."""
    return max(hour.mean for hour in hours)


def enough(so: list[bool]) -> bool:
    """At least two, or at least half of all."""
    return sum(so) >= 2 or sum(so) >= len(so) / 2


def lasers_agree(hours: list[Hour], share: float) -> bool:
    """In more than half of the hours with both."""
    both = [(h.mean, h.second) for h in hours if h.second is not None]
    return sum(abs(a - b) <= share * (a + b) / 2 for a, b in both) > len(both) / 2


def low_or_high(mean: float, others: list[float]) -> str | None:
    """One against two others or more."""
    others = sorted(others)
    lower, upper = others[(len(others) - 1) // 2], others[len(others) // 2]
    if lower >= 60 and mean < lower / 5:
        return "low"
    return "high" if mean > 5 * max(upper, 25) else None


def correct(hour: Hour) -> float:
    """EPA's correction of an hour mean, which has a value for all."""
    humidity = hour.humidity if hour.humidity is not None and 0 <= hour.humidity <= 100 else 50.0
    mean = max(hour.mean, 0.0)
    corrected = corrected_pm25(mean, humidity)
    return 0.000421 * mean * mean + 0.392 * mean + 3.44 if corrected is None else corrected


def corrected_mean(hours: list[Hour]) -> float:
    """The mean of the corrected hours."""
    return fmean(map(correct, hours))


def distance(sensor: str, other: str) -> float:
    """Kilometres over a sphere (haversine)."""
    (a, b), (c, d) = (map(radians, map(float, text.split(","))) for text in (sensor, other))
    half = sin((c - a) / 2) ** 2 + cos(a) * cos(c) * sin((d - b) / 2) ** 2
    return 2 * 6371.0088 * asin(sqrt(half))
