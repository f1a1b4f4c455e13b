"""The sensors of the synthetic summer, and the schedule of its episodes of smoke and of broken sensors."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt

from aqi_dagster.windows import WINDOW_LENGTH

Kind = Literal["smoke", "malfunction"]
Floats = npt.NDArray[np.float64]
Shape = Callable[[Floats, Floats], Floats]
"""PM2.5 on top of the background, ug/m3, from minutes since the episode reached a sensor and a random number in [0, 1).

Both come as arrays with a row for each reading and a column for each sensor.
"""

SENSORS = (
    "38.9399, -119.9772",  # South Lake Tahoe, then clockwise
    "38.9447, -119.9698",
    "38.9352, -120.0087",  # Tahoe Keys
    "38.8563, -120.0131",
    "38.8254, -120.0193",
    "38.9338, -120.0405",  # Camp Richardson
    "38.9526, -120.1064",
    "39.0382, -120.1267",
    "39.0679, -120.1286",  # Tahoma
    "39.0868, -120.1604",
    "39.1398, -120.1536",
    "39.1684, -120.2243",  # Alpine Meadows
    "39.1971, -120.2357",
    "39.1677, -120.1453",  # Tahoe City
    "39.1882, -120.1063",  # Dollar Point
    "39.2268, -120.0812",
    "39.2397, -120.0513",
    "39.2376, -120.0266",  # Kings Beach
    "39.2283, -120.0039",
    "39.2513, -119.9534",  # Incline Village
    "39.0887, -119.9391",
    "39.0446, -119.9482",
    "39.0072, -119.9485",  # Zephyr Cove
    "38.9893, -119.9442",
    "38.9791, -119.9083",
)
"""Keys of the sensors around the lake, "lat, long" in degrees."""

_EVERYWHERE = range(25)
_SOUTH_AND_WEST = range(13)
_NORTH = range(13, 19)

_LONGITUDES = np.array([float(key.split(", ")[1]) for key in SENSORS])
_CROSSING_MINUTES = 60 * (_LONGITUDES - _LONGITUDES.min()) / np.ptp(_LONGITUDES)
"""Smoke comes from the west and reaches the easternmost sensor an hour after the westernmost."""


@dataclass(frozen=True)
class ScheduledEpisode:
    """An episode in time relative to the summer's start.

    Attributes
    ----------
    window, hour
        When it begins: windows since the summer's start, and hours since that window's start.
    hours
        How long it lasts at one sensor.
    sensors
        Indices into ``SENSORS``.
    missed_by
        The rules that cannot tell it, by name.
    is_flat
        Whether small particles are counted as often as large ones meanwhile, as by a laser that has failed.
    """

    kind: Kind
    window: int
    hour: float
    hours: float
    sensors: range
    shape: Shape
    note: str
    missed_by: str = ""
    is_flat: bool = False

    @property
    def begin(self) -> timedelta:
        """From the summer's start to the episode's."""
        return self.window * WINDOW_LENGTH + timedelta(hours=self.hour)

    @property
    def length(self) -> timedelta:
        """From the episode's start to its end at the sensor that it reaches last."""
        return timedelta(hours=self.hours, minutes=float(self._arrival_minutes[list(self.sensors)].max()))

    def concentration(self, minutes: Floats, chance: Floats) -> Floats:
        """The PM2.5 that it adds at each sensor, ug/m3, ``minutes`` after the summer's start (see ``Shape``)."""
        return np.where(self.affects(minutes), self.shape(self._since(minutes), chance), 0.0)

    def affects(self, minutes: Floats) -> npt.NDArray[np.bool_]:
        """Which readings it affects at each sensor, ``minutes`` after the summer's start."""
        since = self._since(minutes)
        return np.isin(np.arange(len(SENSORS)), self.sensors) & (since >= 0) & (since < 60 * self.hours)

    def _since(self, minutes: Floats) -> Floats:
        return minutes - self.begin / timedelta(minutes=1) - self._arrival_minutes

    @property
    def _arrival_minutes(self) -> Floats:
        """Minutes from the episode's start until it reaches each sensor."""
        return _CROSSING_MINUTES if len(self.sensors) > 1 else np.zeros(len(SENSORS))


def _smoke(level: float, hours: float) -> Shape:
    """About ``level`` ug/m3 for ``hours``, then clearing: a fiftieth is left two hours later."""

    def shape(minutes: Floats, chance: Floats) -> Floats:
        clearing = np.exp(-np.maximum(minutes - 60 * hours, 0) / 30)
        return level * (0.88 + 0.24 * chance) * clearing

    return shape


def _steady(level: float) -> Shape:
    """About ``level`` ug/m3 all the time."""

    def shape(_: Floats, chance: Floats) -> Floats:
        return level * (0.9 + 0.2 * chance)

    return shape


def _spikes(minutes: Floats, chance: Floats) -> Floats:
    """One high reading every 90 minutes: fewer than ten in a window."""
    return np.where(minutes // 10 % 9 == 4, 700 + 2300 * chance, 0.0)


def _wild(_: Floats, chance: Floats) -> Floats:
    """Anything between 350 and 4,550 ug/m3, as from a laser counter with an insect in it."""
    return 350 * 13**chance


# Two windows or more lie between two episodes: so no detector scores an episode by the masses of the one before.
SCHEDULE = (
    ScheduledEpisode("malfunction", 2, 1, 8, range(8, 9), _spikes, "spikes in Tahoma"),
    ScheduledEpisode("smoke", 9, 2, 7, _EVERYWHERE, _smoke(560, 5), "wildfire smoke over the whole basin"),
    ScheduledEpisode("malfunction", 16, 4, 5, range(19, 20), _wild, "insect in the sensor of Incline Village"),
    ScheduledEpisode("malfunction", 22, 2, 7, range(2, 3), _spikes, "spikes in Tahoe Keys", missed_by="network"),
    ScheduledEpisode("smoke", 28, 9, 7, _SOUTH_AND_WEST, _smoke(620, 5), "smoke on two shores, over two windows"),
    ScheduledEpisode("smoke", 32, 2, 9, _EVERYWHERE, _smoke(125, 8), "haze of a far fire", missed_by="notebook"),
    ScheduledEpisode("smoke", 37, 3, 5, range(17, 18), _smoke(620, 3), "pile burn in Kings Beach", missed_by="network"),
    ScheduledEpisode("malfunction", 41, 1, 10, range(20, 21), _steady(250), "far too high", missed_by="notebook"),
    ScheduledEpisode("malfunction", 44, 1, 6, range(11, 12), _wild, "failing fan in Alpine Meadows"),
    ScheduledEpisode("smoke", 52, 3, 6, _NORTH, _smoke(700, 4), "grass fire above the north shore"),
    ScheduledEpisode("malfunction", 56, 1, 10, range(10, 11), _steady(110), "failed laser", "notebook", is_flat=True),
    ScheduledEpisode("malfunction", 59, 2, 8, range(22, 23), _spikes, "spikes in Zephyr Cove"),
    ScheduledEpisode("smoke", 66, 1, 8, _EVERYWHERE, _smoke(850, 6), "wildfire smoke over the whole basin"),
    ScheduledEpisode("malfunction", 73, 3, 6, range(5, 6), _wild, "insect in the sensor of Camp Richardson"),
    ScheduledEpisode("malfunction", 80, 2, 8, range(14, 15), _spikes, "spikes in Dollar Point"),
    ScheduledEpisode("smoke", 82, 2, 7, _EVERYWHERE, _smoke(640, 5), "wildfire smoke over the whole basin"),
)
"""The episodes of one summer, in order of time; no 12-hour window holds two of them.

With one laser the network rules cannot tell the fire beside a single sensor from a failure; and a window of few spikes
has a mean that they do not mind.
"""
