"""Who among the sensors of a window has no vote, and whom its neighbours belie in this very window."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aqi_dagster.pipeline.health.by_region import Neighbourhoods
from aqi_dagster.pipeline.health.history import RECENT, History
from aqi_dagster.pipeline.health.hours import MIN_HOURS, Flags, Floats, Hours
from aqi_dagster.pipeline.health.own_faults import OwnFaults, lasers_agree
from aqi_dagster.sensors import coordinates

LEAST_LOW_PM25 = 60.0
"""PM2.5 (CF=1, ug/m3) of the others from which on a sensor can be too low."""

LEAST_HIGH_PM25 = 25.0
"""PM2.5 (CF=1, ug/m3) that stands for cleaner air of the others when a sensor is asked whether it is too high."""

FACTOR = 5.0
"""How many times as much, or as little, as the others a sensor must read to be high, or low."""

LOCAL_KM = 10.0
"""Two high sensors that are no farther apart than this saw a fire of their own."""

LOCAL_SHARE = 0.3
"""Two lasers that differ by this share of their mean at most bear each other out."""

EARTH_RADIUS_KM = 6371.0088


@dataclass(frozen=True)
class Votes:
    """Who takes part without a vote: what is ``new``, or ``on_probation``; the ``candidates`` may have one."""

    new: Flags
    on_probation: Flags
    candidates: Flags


@dataclass(frozen=True)
class Comparison:
    """How each sensor stands to the others of its region in one window; ``high`` includes those that are ``local``.

    ``lower`` and ``upper`` are the middle values of the means of the other candidates (ug/m3), NaN without any.
    ``near`` are high candidates with another one within :data:`LOCAL_KM`.
    """

    lower: Floats
    upper: Floats
    low: Flags
    high: Flags
    near: Flags
    local: Flags
    in_dispute: Flags
    healthy: Flags


def sort_votes(hours: Hours, history: History, regions: Neighbourhoods, own_faults: OwnFaults) -> Votes:
    """Sort the sensors that take part: bench tests and sensors that failed of late must not judge others."""
    takes_part = (hours.count >= MIN_HOURS) & regions.has_region
    new = takes_part & ~history.took_part[:, :RECENT].any(axis=1)
    new &= regions.count(new) < regions.count(takes_part)
    without_fault = takes_part & (own_faults.name == "")
    on_probation = without_fault & history.suspicious[:, :RECENT].any(axis=1)
    return Votes(new, on_probation, without_fault & ~new & ~on_probation)


def compare(hours: Hours, regions: Neighbourhoods, votes: Votes) -> Comparison:
    """Compare each candidate, and each sensor on probation, with the candidates of its region."""
    mean = hours.average
    candidates = votes.candidates
    number = regions.count(candidates)
    lower, upper = regions.middles_of_others(mean, candidates)
    eligible = (candidates & (number >= 3)) | (votes.on_probation & (number >= 2))
    low = eligible & (lower >= LEAST_LOW_PM25) & (mean < lower / FACTOR)
    high = eligible & (mean > FACTOR * np.maximum(upper, LEAST_HIGH_PM25))
    # Of two, each has but the other to be compared with.
    ratio_of_two = np.maximum(mean, lower) > FACTOR * np.maximum(np.minimum(mean, lower), LEAST_HIGH_PM25)
    in_dispute = candidates & (number == 2) & ratio_of_two
    near = _near_another(hours.sensors, regions, high & candidates)
    local = high & candidates & (near | lasers_agree(hours, LOCAL_SHARE))
    healthy = candidates & ~low & ~high & ~in_dispute
    return Comparison(lower, upper, low, high, near, local, in_dispute, healthy)


def _near_another(sensors: Sequence[str], regions: Neighbourhoods, members: Flags) -> Flags:
    """Which of ``members`` have another one of their region within :data:`LOCAL_KM`."""
    near = np.zeros(len(sensors), np.bool_)
    rows = [row for row in np.flatnonzero(members).tolist() if coordinates(sensors[row]) is not None]
    if len(rows) < 2:
        return near
    # Not imported above: it takes a quarter of a second, which `aqi-dagster status` need not wait for.
    from scipy.spatial import KDTree

    # Two places that are a given way apart on Earth have a given chord; regions lie where no chord reaches.
    points = np.column_stack([_on_unit_sphere([sensors[row] for row in rows]), 3.0 * regions.number[rows]])
    chord = 2 * np.sin(LOCAL_KM / EARTH_RADIUS_KM / 2)
    distances, _ = KDTree(points).query(points, k=2)
    near[rows] = distances[:, 1] <= chord
    return near


def distance_km(sensor: str, other: str) -> float | None:
    """The way between two sensors over the Earth's surface, in km; None if one of them names no place."""
    if coordinates(sensor) is None or coordinates(other) is None:
        return None
    first, second = _on_unit_sphere([sensor, other])
    return float(2 * EARTH_RADIUS_KM * np.arcsin(min(1.0, float(np.linalg.norm(first - second)) / 2)))


def _on_unit_sphere(sensors: Sequence[str]) -> Floats:
    """The places of ``sensors`` as points around the Earth's centre, its radius being 1."""
    places = np.array([place for place in map(coordinates, sensors) if place is not None], np.float64)
    latitude, longitude = np.radians(places).T
    return np.column_stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)]
    )
