"""A synthetic summer of 25 PurpleAir sensors around Lake Tahoe, with labelled episodes of smoke and of broken sensors.

Every reading is a pure function of the summer's start, its slot of ten minutes and its sensor, so any part of the
summer can be computed alone, at any time and repeatedly, with equal readings. After ``DAYS`` days the same episodes
come again, with other noise, for ever.

The detectors learn what lasts or rises slowly as normal: with the default settings only a sharp rise beyond about
330 ug/m3 scores above 0.7, so most episodes are of that kind; some are for the network rules alone. The labels take all
sensors as one region.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count, takewhile

import numpy as np

from aqi_dagster.demo.episodes import SCHEDULE, SENSORS, Floats, Kind
from aqi_dagster.errors import ConfigurationError
from aqi_dagster.feeds.messages import Message, encode_message
from aqi_dagster.message_fields import ENTRY_ID_FIELD, OWN_NAMES, TIME_FIELD, FieldNames
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, window_start

DAYS = 42
"""Length of the summer, after which its episodes repeat."""

CADENCE = timedelta(minutes=10)
"""Time between two readings of a sensor."""

_SEED = 20220718
_MINUTE = timedelta(minutes=1)
_SLOTS_PER_DAY = timedelta(days=1) // CADENCE
_PACIFIC_DAYLIGHT_HOURS = -7
_MEASUREMENTS = (
    "PM1.0_CF1_ug/m3",
    "PM2.5_CF1_ug/m3",
    "PM10.0_CF1_ug/m3",
    "UptimeMinutes",
    "RSSI_dbm",
    "Temperature_F",
    "Humidity_%",
    "PM2.5_ATM_ug/m3",
)

# A sensor reports at its own second of the slot: 241 and 600 have no common factor, so no two sensors share one.
_DELAYS = tuple(timedelta(seconds=number * 241 % 600) for number in range(len(SENSORS)))
_REPORTING_ORDER = sorted(range(len(SENSORS)), key=lambda number: _DELAYS[number])


@dataclass(frozen=True)
class Episode:
    """A labelled time, [``start``, ``end``) in naive UTC, in which something disturbs the PM2.5 of ``sensors``."""

    kind: Kind
    start: datetime
    end: datetime
    sensors: tuple[str, ...]
    note: str
    missed_by: str = ""


class Summer:
    """The summer that begins at ``start``, a window's start in naive UTC; ``ConfigurationError`` if it is not one.

    ``names`` are what the topic calls the fields.
    """

    def __init__(self, start: datetime, names: FieldNames = OWN_NAMES) -> None:
        if window_start(start) != start:
            raise ConfigurationError(f"the summer must start with a window, at 00:00 or 12:00 UTC, not at {start}")
        self.start = start
        self._names = names
        self.sensors = SENSORS

    def episodes(self, until: datetime) -> list[Episode]:
        """The episodes that begin before ``until``, in order."""
        return list(takewhile(lambda episode: episode.start < until, self._all_episodes()))

    def expected_verdicts(self, until: datetime, rules: str | None = None) -> dict[datetime, Kind]:
        """The right verdict of each window (start) that ended by ``until``; the other windows must have none.

        With ``rules``, by name, only of those that they can tell.
        """
        return {
            window: episode.kind
            for episode in self.episodes(until)
            if rules is None or episode.missed_by != rules
            for window in WindowRange(window_start(episode.start), window_start(episode.end - timedelta.resolution))
            if window + WINDOW_LENGTH <= until
        }

    def messages(self, begin: datetime, end: datetime) -> Iterator[Message]:
        """The messages of [``begin``, ``end``) in order of time; before the summer's start there are none."""
        begin = max(begin, self.start)
        first, last = (begin - self.start) // CADENCE, (end - self.start) // CADENCE
        for day in range(first // _SLOTS_PER_DAY, last // _SLOTS_PER_DAY + 1):
            measurements = _measurements(self.start, day).tolist()
            for slot in range(max(first, day * _SLOTS_PER_DAY), min(last + 1, (day + 1) * _SLOTS_PER_DAY)):
                for sensor in _REPORTING_ORDER:
                    created_at = self.start + slot * CADENCE + _DELAYS[sensor]
                    if begin <= created_at < end:
                        entry_id = 100_000 * (sensor + 1) + slot
                        numbers = measurements[slot % _SLOTS_PER_DAY][sensor]
                        yield self._message(SENSORS[sensor], created_at, entry_id, numbers)

    def _message(self, sensor: str, created_at: datetime, entry_id: int, numbers: list[float]) -> Message:
        """The message of one reading, its ``numbers`` in the order of ``_MEASUREMENTS``."""
        value = {TIME_FIELD: created_at.strftime("%Y-%m-%d %H:%M:%S UTC"), ENTRY_ID_FIELD: str(entry_id)}
        value.update(zip(_MEASUREMENTS, map("{:.2f}".format, numbers), strict=True))
        return encode_message(sensor, {self._names[field]: text for field, text in value.items()})

    def _all_episodes(self) -> Iterator[Episode]:
        for repetition in count():
            for scheduled in SCHEDULE:
                start = self.start + repetition * timedelta(days=DAYS) + scheduled.begin
                sensors = tuple(SENSORS[number] for number in scheduled.sensors)
                yield Episode(
                    scheduled.kind, start, start + scheduled.length, sensors, scheduled.note, scheduled.missed_by
                )


def _measurements(start: datetime, day: int) -> Floats:
    """All numbers of the summer's ``day``, counted from 0: an array of slots, sensors and ``_MEASUREMENTS``."""
    random = np.random.default_rng([_SEED, day])
    noise = random.standard_normal((5, _SLOTS_PER_DAY, len(SENSORS)))
    chance = random.random((_SLOTS_PER_DAY, len(SENSORS)))

    slots = np.arange(day * _SLOTS_PER_DAY, (day + 1) * _SLOTS_PER_DAY)[:, np.newaxis]
    minutes = slots * (CADENCE / _MINUTE) + np.array([delay / _MINUTE for delay in _DELAYS])
    local_hours = minutes / 60 + start.hour + _PACIFIC_DAYLIGHT_HOURS
    afternoon = np.cos((local_hours - 16) * np.pi / 12)
    weather = np.sin(minutes / (3.7 * 1440) * 2 * np.pi)
    site = np.linspace(0, 1, len(SENSORS)) * 7 % 1

    # Clean air is worst at night, when the basin's inversion holds the smoke of stoves.
    background = (3.5 + 3 * site) * (1 - 0.35 * afternoon) * (1 + 0.2 * weather) * np.exp(0.15 * noise[0])
    pm25 = np.clip(background, 2, 15)
    flat = np.zeros(pm25.shape, np.bool_)
    for scheduled in SCHEDULE:
        pm25 = pm25 + scheduled.concentration(minutes % (DAYS * 1440), chance)
        if scheduled.is_flat:
            flat |= scheduled.affects(minutes % (DAYS * 1440))

    temperature = 62 + 14 * afternoon - 4 * weather - 6 * site + noise[1]
    humidity = np.clip(45 - 18 * afternoon + 6 * weather + 2 * noise[2], 5, 100)
    # The counter's "atmospheric" calibration equals CF1 in clean air and falls to two thirds of it above 30 ug/m3.
    atmospheric = np.where(pm25 < 30, pm25, 30 + (pm25 - 30) * 2 / 3)
    measurements = (
        np.where(flat, pm25, pm25 * 0.65),
        pm25,
        np.where(flat, pm25, pm25 * 1.08 + np.abs(noise[3])),
        # Sensors restart about once in three weeks, each at its own time.
        (minutes // 1 + 9_000 * site) % 30_000,
        np.round(-55 - 20 * site + 2 * noise[4]),
        np.round(temperature),
        np.round(humidity),
        atmospheric,
    )
    return np.stack(measurements, axis=-1)
