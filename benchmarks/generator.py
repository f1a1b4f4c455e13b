"""Deterministic messages: sensors of one region, clean air, and now and then a sharp plume."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np

from aqi_dagster.feeds.messages import Message, encode_message

START = datetime(2022, 7, 18)  # noqa: DTZ001 (naive UTC, as everywhere)

CADENCE = timedelta(minutes=10)

SENSORS = 200

_FIELDS = (
    "PM1.0_CF1_ug/m3",
    "PM2.5_CF1_ug/m3",
    "PM10.0_CF1_ug/m3",
    "UptimeMinutes",
    "RSSI_dbm",
    "Temperature_F",
    "Humidity_%",
    "PM2.5_ATM_ug/m3",
)


def sensor_names(count: int) -> list[str]:
    """The texts of ``count`` sensors, on a grid."""
    return [f"{38.5 + number // 50 * 0.03:.4f}, {-120.5 + number % 50 * 0.03:.4f}" for number in range(count)]


def messages(
    count: int, sensors: int, start: datetime = START, cadence: timedelta = CADENCE, seed: int = 7
) -> Iterator[Message]:
    """``count`` messages of about 260 bytes from ``sensors`` sensors, in order of time, one every ``cadence`` each."""
    random = np.random.default_rng(seed)
    names = sensor_names(sensors)
    for slot in range(-(-count // sensors)):
        moment = start + slot * cadence
        background = np.clip(random.gamma(4.0, 2.0, sensors), 0.5, 40.0)
        # A plume every 576 slots, for twelve of them, over a tenth of the sensors.
        if slot % 576 >= 564:
            background[slot // 576 % 10 :: 10] += 450 + 200 * random.random(len(background[slot // 576 % 10 :: 10]))
        for number in range(min(sensors, count - slot * sensors)):
            offset = timedelta(seconds=int(number * 3 % cadence.total_seconds()))
            entry = slot * sensors + number
            yield reading(names[number], moment + offset, background[number], entry, uptime=slot * 10)


def reading(sensor: str, created_at: datetime, pm25: float, entry: int, uptime: int) -> Message:
    """The message of a ``sensor`` that read ``pm25`` (ug/m3), the one of that number, after ``uptime`` minutes."""
    numbers = (pm25 * 0.7, pm25, pm25 * 1.2, uptime, -60 - entry % 20, 70.0, 35.0, pm25 * 0.95)
    value = {"created_at": created_at.strftime("%Y-%m-%d %H:%M:%S UTC"), "entry_id": str(entry)}
    value.update({name: f"{figure:.2f}" for name, figure in zip(_FIELDS, numbers, strict=True)})
    return encode_message(sensor, value)
