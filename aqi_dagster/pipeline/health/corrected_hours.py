"""EPA's correction of many hour means at once, as the network rules apply it.

The equations are those of :func:`aqi.corrected_pm25`, and what comes out is equal bit for bit wherever
that has a value; a rule that judges whole regions needs a value everywhere.
"""

import numpy as np
from numpy.typing import NDArray

from aqi_dagster.pipeline.aqi import CATEGORIES, of_dense_smoke, of_usual_air, share_of_dense

Floats = NDArray[np.float64]

(SMOKE_PM25,) = (category.lowest_pm25 for category in CATEGORIES if category.name == "Unhealthy for Sensitive Groups")
"""Corrected PM2.5, in ug/m3, from which on air counts as smoke: where EPA's index leaves "Moderate"."""

USUAL_HUMIDITY = 50.0
"""Relative humidity, in percent, that stands for one that is missing or not 0 to 100."""


def correct_hours(pm25_cf1: Floats, humidity: Floats) -> Floats:
    """Corrected PM2.5 (ug/m3) of hour means of CF=1 (ug/m3) and relative humidity (percent); NaN only where no mean is.

    A mean below 0 counts as 0; a humidity that is NaN or not 0 to 100 as :data:`USUAL_HUMIDITY`; the equation for dense
    smoke has no upper end.

    >>> correct_hours(np.array([100.0, 100.0, 5000.0, -3.0]), np.array([40.0, np.nan, 40.0, 40.0])).round(3).tolist()
    [54.702, 53.84, 12488.44, 2.302]
    """
    pm25 = np.maximum(pm25_cf1, 0.0)
    usable = np.where((humidity >= 0) & (humidity <= 100), humidity, USUAL_HUMIDITY)
    usual = np.maximum(of_usual_air(pm25, usable), 0.0)
    weight = np.clip(share_of_dense(pm25), 0.0, 1.0)
    return np.asarray(weight * of_dense_smoke(pm25) + (1 - weight) * usual)
