"""A sensor beside its neighbours over two weeks: one that fades, or has a wrong gain, shows in no single window."""

from dataclasses import dataclass

import numpy as np

from aqi_dagster.pipeline.health.by_region import Neighbourhoods
from aqi_dagster.pipeline.health.comparison import Comparison, Votes
from aqi_dagster.pipeline.health.history import History
from aqi_dagster.pipeline.health.hours import Flags, Floats

MIN_HEALTHY = 3
"""Healthy sensors of a region, at least, in a window in which ratios are taken."""

RATIOS = 6
"""How many of the last ratios a sensor is judged by."""

LEAST_DOWN_PM25, LEAST_UP_PM25 = 10.0, 5.0
"""PM2.5 of the neighbours (CF=1, ug/m3) below which none, or this, is what a sensor is divided by."""

FADED, FADED_NOW = 0.25, 0.5
"""A sensor is fading if its usual ratio is below the first, and its present one below the second or not known."""

RISEN, RISEN_NOW = 4.0, 2.0
"""A sensor is rising if its usual ratio is above the first, and its present one above the second."""


@dataclass(frozen=True)
class Ratios:
    """Each candidate beside the median of the other healthy sensors (``neighbours``, ug/m3); NaN where there is none.

    ``down`` and ``up`` are the sensor's mean over theirs, from a floor on; ``usual_down`` and ``usual_up`` are the
    medians of the last :data:`RATIOS` that are known. A healthy sensor whose usual ratio and whose present one are far
    too small is ``fading``, far too great ``rising``.
    """

    neighbours: Floats
    down: Floats
    up: Floats
    usual_down: Floats
    usual_up: Floats
    fading: Flags
    rising: Flags

    @property
    def unlike(self) -> Flags:
        """Healthy sensors that are unlike their neighbours, and so have no vote."""
        return self.fading | self.rising


def ratios(mean: Floats, history: History, regions: Neighbourhoods, votes: Votes, comparison: Comparison) -> Ratios:
    """The ratios of a window by the sensors' ``mean`` (ug/m3), and what they have come to over two weeks."""
    asked = votes.candidates & (regions.count(comparison.healthy) >= MIN_HEALTHY)
    neighbours = np.where(asked, regions.median_of_others(mean, comparison.healthy), np.nan)
    down = np.where(neighbours >= LEAST_DOWN_PM25, mean / np.maximum(neighbours, LEAST_DOWN_PM25), np.nan)
    up = mean / np.maximum(neighbours, LEAST_UP_PM25)
    usual_down = _median_of_last(np.column_stack([down, history.down]))
    usual_up = _median_of_last(np.column_stack([up, history.up]))
    eligible = comparison.healthy & asked
    return Ratios(
        neighbours,
        down,
        up,
        usual_down,
        usual_up,
        fading=eligible & (usual_down < FADED) & ((down < FADED_NOW) | np.isnan(down)),
        rising=eligible & (usual_up > RISEN) & (up > RISEN_NOW),
    )


def _median_of_last(values: Floats) -> Floats:
    """The median of the first :data:`RATIOS` known ``values`` of each row; NaN if fewer are known."""
    known = ~np.isnan(values)
    last = known & (np.cumsum(known, axis=1) <= RATIOS)
    ordered = np.sort(np.where(last, values, np.inf), axis=1)
    middle = (ordered[:, RATIOS // 2 - 1] + ordered[:, RATIOS // 2]) / 2
    return np.where(np.count_nonzero(last, axis=1) == RATIOS, middle, np.nan)
