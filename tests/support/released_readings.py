"""The messages from which the stores of older releases were made, and those of the window that comes after them.

Each is the same at every call: five sensors report half-hourly for three windows, which is what a detector needs to
know what is usual, and hourly for three more. In the fourth window there is smoke, in the fifth one sensor is broken,
and in the sixth a device that writes its place in two ways counts as two sensors, and so as smoke.
"""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

from aqi_dagster.pipeline.decoding.definition import OPTIONAL_NUMBERS
from aqi_dagster.windows import WINDOW_LENGTH
from tests.support.messages import FIRST_WINDOW, RawMessage, message

WINDOWS = [FIRST_WINDOW + number * WINDOW_LENGTH for number in range(6)]
"""Starts of the windows that the stores hold."""

FURTHER_WINDOW = WINDOWS[-1] + WINDOW_LENGTH
"""Start of the window after them."""

SENSORS = ["39.1, -120.0", "39.2, -120.05", "39.3, -119.95"]

ONE_DEVICE = ["38.9,-120.1", "38.9, -120.1"]
"""What one device calls itself."""

NAMES = {SENSORS[0]: "Alder", SENSORS[1]: "Birch"}
"""What the messages of some sensors say that they are called; they stand outside. Version 5 is the first to take it."""

AT_ONCE = WINDOWS[1] + timedelta(hours=3)
"""Time of the reading that came under both names of the device."""

BEFORE_THE_PAUSE = 5
"""Windows that were run, and told Slack, before the readings of the next one came."""

LATE = WINDOWS[4] + timedelta(minutes=130)
"""Time of the reading that came after its window had been run."""

_SMOKE = {3: 420.0, 4: 610.5, 5: 555.25}

_BROKEN = {2: 990.0, 3: 870.0, 7: 1150.0, 8: 905.5}

_PLUMES = {
    **{(WINDOWS[3] + timedelta(hours=hour), sensor): pm25 for hour, pm25 in _SMOKE.items() for sensor in SENSORS},
    **{(WINDOWS[4] + timedelta(hours=hour), SENSORS[2]): pm25 for hour, pm25 in _BROKEN.items()},
    **{(WINDOWS[5] + timedelta(hours=4), ONE_DEVICE[0]): 700.0},
    **{(WINDOWS[5] + timedelta(hours=4, minutes=15), ONE_DEVICE[1]): 702.5},
    **{(FURTHER_WINDOW + timedelta(hours=6), sensor): 820.0 for sensor in SENSORS[:2]},
}
"""PM2.5, ug/m3, of the readings that are not usual, by time and sensor."""

_REJECTS: list[RawMessage] = [
    (json.dumps(SENSORS[0]).encode(), b'{"created_at": "2022-07-18 01:0'),
    (None, message(SENSORS[0], WINDOWS[0], 5.0)[1]),
    (b'"Lake Tahoe"', message(SENSORS[0], WINDOWS[0], 5.0)[1]),
    (json.dumps(SENSORS[1]).encode(), None),
    message(SENSORS[1], datetime(2100, 1, 1), 5.0),  # noqa: DTZ001 (naive UTC by convention)
]


def messages_before_the_pause(rejects: bool = True) -> list[RawMessage]:
    """Readings of the first windows and, if ``rejects``, messages that are none."""
    readings = [reading for start in WINDOWS[:BEFORE_THE_PAUSE] for reading in _readings(start)]
    return [*readings, _reading(ONE_DEVICE[1], AT_ONCE), *(_REJECTS if rejects else [])]


def messages_after_the_pause() -> list[RawMessage]:
    """Readings of the last window, a late one, and some that had come before, one of them with another value."""
    return [
        *_readings(WINDOWS[-1]),
        _reading(SENSORS[0], LATE),
        _reading(SENSORS[0], WINDOWS[0]),
        _reading(SENSORS[1], WINDOWS[0]),
        message(SENSORS[2], WINDOWS[1], 77.0),
    ]


def messages_of_the_further_window() -> list[RawMessage]:
    """Readings of :data:`FURTHER_WINDOW`."""
    return [*_readings(FURTHER_WINDOW)]


def _readings(start: datetime) -> Iterator[RawMessage]:
    step = timedelta(minutes=30 if start < WINDOWS[3] else 60)
    for number in range(WINDOW_LENGTH // step):
        time = start + number * step
        for sensor in [*SENSORS, ONE_DEVICE[0]]:
            yield _reading(sensor, time)
        yield _reading(ONE_DEVICE[1], time + timedelta(minutes=15))


def _reading(sensor: str, time: datetime) -> RawMessage:
    """The reading of ``sensor`` at ``time``: one of few usual values, unless :data:`_PLUMES` has another."""
    number = (time - FIRST_WINDOW) // timedelta(minutes=5)
    pm25 = _PLUMES.get((time, sensor), 4 + number % 7 / 2)
    further = dict.fromkeys(OPTIONAL_NUMBERS.values(), "12") | {"Temperature_F": "71", "Humidity_%": "38"}
    if sensor in NAMES:
        further |= {"sensor_name": NAMES[sensor], "location_type": "0"}
    return message(sensor, time, pm25, entry_id=str(number), **further)
