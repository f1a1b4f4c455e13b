"""EPA's Air Quality Index of PM2.5, and EPA's correction of what PurpleAir sensors read.

Index: breakpoints in force since 6 May 2024 (89 FR 16202; 40 CFR part 58, appendix G; EPA-454/B-24-002, "Technical
Assistance Document for the Reporting of Daily Air Quality", table 6). It is defined for 24-hour averages (or the
NowCast that stands for one). Applied to a single reading, as here, it says what the index would be if the air stayed
like that for a day: a measure of how bad, not an official AQI.

Correction: Barkjohn et al. 2021 (Atmos. Meas. Tech. 14, 4617) up to 570 ug/m3, and the extension to dense smoke of
Barkjohn et al. 2022 (Sensors 22, 9669) above. Both were fitted to the CF=1 mass as the mean of a sensor's two channels
over hours or a day, after sensors whose channels disagree had been set aside; EPA's equations for the ATM mass are
others. Here they meet the CF=1 mass of the one channel that a message carries, reading by reading. What a broken sensor
reads stays as wrong as it was.

``store/schema.sql`` holds the same rules as the view ``corrected_readings``; a test holds the two equal.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

MAX_PM25_CF1 = 2_000.0
"""Greatest reading, in ug/m3, that is corrected: twice what the sensors' counters are rated for.

A broken counter that is stuck at some thousands would otherwise set the index of a whole region.
"""

DENSE_PM25, DENSE_ALONE_PM25 = 570.0, 611.0
"""Readings, in ug/m3, from which on the equation for dense smoke counts, too, and from which on it counts alone."""

Number = TypeVar("Number", float, NDArray[np.float64])
"""One value, or an array of them."""


class Category(NamedTuple):
    """A category of the index: name, EPA's colour, and the ends of its range of PM2.5 (ug/m3) and index, included."""

    name: str
    colour: str
    hex_colour: str
    lowest_pm25: float
    highest_pm25: float
    lowest_aqi: int
    highest_aqi: int


CATEGORIES = (
    Category("Good", "green", "#00E400", 0.0, 9.0, 0, 50),
    Category("Moderate", "yellow", "#FFFF00", 9.1, 35.4, 51, 100),
    Category("Unhealthy for Sensitive Groups", "orange", "#FF7E00", 35.5, 55.4, 101, 150),
    Category("Unhealthy", "red", "#FF0000", 55.5, 125.4, 151, 200),
    Category("Very Unhealthy", "purple", "#8F3F97", 125.5, 225.4, 201, 300),
    Category("Hazardous", "maroon", "#7E0023", 225.5, 325.4, 301, 500),
)
"""From good to bad. The last has no upper end: EPA has values beyond 500 calculated along the same line (table 6)."""


def corrected_pm25(pm25_cf1: float, humidity: float | None) -> float | None:
    """PM2.5 in ug/m3 as EPA corrects it from the CF=1 mass (ug/m3) and the sensor's own relative humidity (percent).

    Never negative. None if the mass is none (below 0 or above :data:`MAX_PM25_CF1`), or if the humidity is missing
    or not 0 to 100 where the correction needs it. From 570 to 611 ug/m3 one equation passes into the other; the paper's
    weight ``0.0244 x - 13.9`` is the rounded ``(x - 570) / 41``, which leaves no step at the ends and is used here.

    >>> round(corrected_pm25(100.0, 40.0), 3)
    54.702
    >>> round(corrected_pm25(700.0, None), 3)
    484.13
    """
    if not 0 <= pm25_cf1 <= MAX_PM25_CF1:
        return None
    dense = of_dense_smoke(pm25_cf1)
    if pm25_cf1 >= DENSE_ALONE_PM25:
        return dense
    if humidity is None or not 0 <= humidity <= 100:
        return None
    usual = max(of_usual_air(pm25_cf1, humidity), 0.0)
    if pm25_cf1 < DENSE_PM25:
        return usual
    weight = share_of_dense(pm25_cf1)
    return weight * dense + (1 - weight) * usual


def of_usual_air(pm25_cf1: Number, humidity: Number) -> Number:
    """EPA's equation up to :data:`DENSE_PM25`; what comes out below 0 counts as 0."""
    return 0.524 * pm25_cf1 - 0.0862 * humidity + 5.75


def of_dense_smoke(pm25_cf1: Number) -> Number:
    """EPA's equation from :data:`DENSE_ALONE_PM25` on."""
    return 0.000421 * pm25_cf1 * pm25_cf1 + 0.392 * pm25_cf1 + 3.44


def share_of_dense(pm25_cf1: Number) -> Number:
    """The weight of :func:`of_dense_smoke` where one equation passes into the other: from 0 to 1."""
    return (pm25_cf1 - DENSE_PM25) / (DENSE_ALONE_PM25 - DENSE_PM25)


def aqi(pm25: float) -> int:
    """The index of a PM2.5 concentration (ug/m3, 0 or more), which is first cut to one decimal.

    It exceeds 500 from 325.7 ug/m3 on: EPA calls that "beyond the AQI", and still Hazardous.

    >>> aqi(35.9)
    102
    >>> aqi(400.0)
    649
    """
    tenths = math.floor(pm25 * 10)
    band = next((category for category in CATEGORIES if tenths <= _tenths(category.highest_pm25)), CATEGORIES[-1])
    lowest, highest = _tenths(band.lowest_pm25), _tenths(band.highest_pm25)
    slope = (band.highest_aqi - band.lowest_aqi) / (highest - lowest)
    return math.floor(band.lowest_aqi + (tenths - lowest) * slope + 0.5)


def nowcast(hours: Sequence[float | None]) -> float | None:
    """EPA's NowCast of PM2.5 (ug/m3) from ``hours``, up to twelve hour means, the latest first, None where missing.

    It is what EPA shows as the present AQI (EPA-454/B-24-002, section 7): a mean in which an hour counts by a factor
    less than the one after it, one half at least, the smaller the more the hours differ. None unless two of the latest
    three hours are known.

    >>> round(nowcast([40.0, 20.0, None, 20.0]), 2)
    32.31
    >>> nowcast([40.0, None, None, 20.0]) is None
    True
    """
    known = {age: hour for age, hour in enumerate(hours[:12]) if hour is not None}
    if len(known.keys() & {0, 1, 2}) < 2:
        return None
    highest = max(known.values())
    factor = max(min(known.values()) / highest, 0.5) if highest > 0 else 1.0
    return sum(factor**age * hour for age, hour in known.items()) / sum(factor**age for age in known)


def category(index: int) -> Category:
    """The category of an index.

    >>> category(102).name
    'Unhealthy for Sensitive Groups'
    """
    return next((category for category in CATEGORIES if index <= category.highest_aqi), CATEGORIES[-1])


def _tenths(pm25: float) -> int:
    return round(pm25 * 10)
