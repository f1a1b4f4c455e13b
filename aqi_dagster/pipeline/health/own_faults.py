"""What is wrong with a sensor by its own readings; others are only asked whether a silent one had anything to read.

Limits come from the counters' rated range, from how two lasers of one sensor differ when both work (Barkjohn et al.
2021), and from what a failed laser does: it counts as many small particles as large ones.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aqi_dagster.pipeline.health.by_region import Neighbourhoods
from aqi_dagster.pipeline.health.history import RECENT, History
from aqi_dagster.pipeline.health.hours import MIN_HOURS, Counts, Flags, Floats, Hours

DISAGREEING_PM25 = 20.0
"""Two lasers of one sensor disagree if their hour means differ by more than this (ug/m3) ..."""

DISAGREEING_SHARE = 0.61
"""... and by more than this share of their mean."""

IMPOSSIBLE_PM25 = 6_000.0
"""Hour mean (CF=1, ug/m3) that no air holds."""

HARDLY_POSSIBLE_PM25 = 2_000.0
"""Hour mean (CF=1, ug/m3) that is only to be believed if both lasers say so: twice what the counters are rated for."""

FLAT_PM25, FLAT_SHARE = 50.0, 0.9
"""Hour mean (CF=1, ug/m3), and share of PM1.0 in PM10, above which a laser counts as failed."""

STUCK_PM25, STUCK_SHARE = 20.0, 0.01
"""Mean of a window (CF=1, ug/m3) above which its hours differ by this share of it, or more, where air is measured."""

DEAD_PM25 = 1.0
"""A sensor below this (ug/m3), window after window, is dead where others read more than :data:`ALIVE_PM25`."""

ALIVE_PM25 = 5.0

DEAD_WINDOWS = 5
"""Windows before this one in which a dead sensor read nothing, too."""

Names = NDArray[np.str_]


@dataclass(frozen=True)
class OwnFaults:
    """The first fault that fits each sensor, or an empty ``name``: disagree, impossible, flat, stuck, dead or known.

    What is dead has read nothing in this window and the ``silent`` windows before; ``reached`` is what the middle one
    of the others reached in that time (highest hour mean, ug/m3).
    """

    name: Names
    silent: Counts
    reached: Floats


def find_own_faults(hours: Hours, history: History, regions: Neighbourhoods, known_broken: Flags) -> OwnFaults:
    """The faults of every sensor whose region is known, whether or not it takes part.

    One that is ``known_broken`` to an operator, and shows none of the others, has the fault ``known``.
    """
    takes_part = (hours.count >= MIN_HOURS) & regions.has_region
    silent, reached = _silence(hours, history, regions, takes_part)
    faults = {
        "disagree": _disagrees(hours),
        "impossible": _is_impossible(hours),
        "flat": _enough_hours((hours.mean > FLAT_PM25) & (hours.fine_share > FLAT_SHARE), hours.count),
        "stuck": takes_part & _is_stuck(hours),
        "dead": (silent > 0) & (reached > ALIVE_PM25),
        "known": known_broken,
    }
    name = np.select([fault & regions.has_region for fault in faults.values()], list(faults), "")
    return OwnFaults(name, silent, reached)


def lasers_agree(hours: Hours, share: float) -> Flags:
    """Whether both lasers differ by ``share`` of their mean at most in more than half of the hours that have both."""
    gap, middle = lasers(hours)
    both = np.count_nonzero(~np.isnan(gap), axis=1)
    return np.asarray(2 * np.count_nonzero(gap <= share * middle, axis=1) > both)


def _disagrees(hours: Hours) -> Flags:
    gap, middle = lasers(hours)
    both = np.count_nonzero(~np.isnan(gap), axis=1)
    apart = np.count_nonzero((gap > DISAGREEING_PM25) & (gap > DISAGREEING_SHARE * middle), axis=1)
    return np.asarray((hours.count >= 2) & (both > 0) & (2 * apart >= both))


def _is_impossible(hours: Hours) -> Flags:
    often_too_high = _enough_hours(hours.mean > HARDLY_POSSIBLE_PM25, hours.count)
    return np.asarray(
        (hours.mean > IMPOSSIBLE_PM25).any(axis=1) | (often_too_high & ~lasers_agree(hours, DISAGREEING_SHARE))
    )


def _is_stuck(hours: Hours) -> Flags:
    same = (hours.least == hours.greatest) & (hours.least > 0)
    spread = hours.highest - np.fmin.reduce(hours.mean, axis=1)
    return np.asarray(same | ((hours.average > STUCK_PM25) & (spread < STUCK_SHARE * hours.average)))


def _silence(hours: Hours, history: History, regions: Neighbourhoods, takes_part: Flags) -> tuple[Counts, Floats]:
    """How many windows before this one a sensor's silence goes back, 0 if there is none; what the others reached since.

    Both as :class:`OwnFaults` has them, but of everyone that takes part and may be dead.
    """
    today = np.where(takes_part, hours.highest, np.nan)
    # Column k looks back to the k-th window before.
    highest = np.fmax.accumulate(np.column_stack([today, history.max_hour[:, :RECENT]]), axis=1)
    silent = np.where(today < DEAD_PM25, _last_windows_below(history, DEAD_PM25), 0)
    reached = np.full(len(silent), np.nan)
    for windows in np.unique(silent[silent > 0]).tolist():
        of_others = regions.median_of_others(highest[:, windows], takes_part)
        reached = np.where(silent == windows, of_others, reached)
    return silent, reached


def _last_windows_below(history: History, limit: float) -> Counts:
    """How many windows before this one the last :data:`DEAD_WINDOWS` in which each sensor took part begin.

    0 if it took part in fewer within the last seven days, or had an hour of ``limit`` or more in one of them.
    """
    took_part = history.took_part[:, :RECENT]
    number = np.cumsum(took_part, axis=1)
    below = took_part & (number <= DEAD_WINDOWS) & (history.max_hour[:, :RECENT] < limit)
    silent = np.count_nonzero(below, axis=1) == DEAD_WINDOWS
    return np.where(silent, np.argmax(number == DEAD_WINDOWS, axis=1) + 1, 0)


def lasers(hours: Hours) -> tuple[Floats, Floats]:
    """By hour, how far the two lasers are apart and their mean (ug/m3); NaN unless the hour has both."""
    return np.abs(hours.mean - hours.second), np.asarray((hours.mean + hours.second) / 2)


def _enough_hours(hourly: Flags, count: Counts) -> Flags:
    """Whether it is so in two hours, or in half of all the hours that the sensor has."""
    so = np.count_nonzero(hourly, axis=1)
    return np.asarray((so >= 2) | ((so > 0) & (2 * so >= count)))
