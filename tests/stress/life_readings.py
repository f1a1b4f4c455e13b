"""The messages of a life, by when they come: mostly when their window has ended, some late, repeated or spoilt."""

from collections import defaultdict
from datetime import timedelta
from random import Random

from aqi_dagster.windows import WINDOW_LENGTH
from tests.support.messages import FIRST_WINDOW, RawMessage, message
from tests.support.spoiled_messages import by_definition, spoiled

PARTITIONS = 4

SENSORS = [f"45.{number}, -122" for number in range(5)]

CADENCE = timedelta(minutes=20)

SPIKE = range(10, 16)

SPOILT = 8
"""Messages of each window that are spoilt, all of one partition: which of two equal ones counts is then certain."""

Part = dict[int, list[RawMessage]]
"""What comes together, by partition."""


def arrivals(random: Random, windows: int) -> list[Part]:
    """What comes once each of ``windows`` windows, from the first one on, has ended; all has come with the last."""
    parts: list[Part] = [defaultdict(list) for _ in range(windows)]
    for number, sensor in enumerate(SENSORS):
        silent = set(random.sample(range(windows), windows // 6))
        for window in range(windows):
            if window in silent:
                continue
            delay = random.choice([0] * 9 + [1, 3, 6])
            readings = _readings(random, sensor, window, spikes=(window - number) % 3 == 0 and number < 4)
            arrived = parts[min(window + delay, windows - 1)][number % PARTITIONS]
            arrived += readings
            if random.random() < 0.1:
                parts[-1][number % PARTITIONS] += readings[:5]
    for part in parts:
        part[PARTITIONS - 1] += _spoilt(random, windows)
    return parts


def _readings(random: Random, sensor: str, window: int, spikes: bool) -> list[RawMessage]:
    """What a sensor reads in a window."""
    start = FIRST_WINDOW + window * WINDOW_LENGTH
    return [
        message(sensor, start + slot * CADENCE, random.uniform(600, 900) if spikes and slot in SPIKE else 5.0)
        for slot in range(WINDOW_LENGTH // CADENCE)
    ]


def _spoilt(random: Random, windows: int) -> list[RawMessage]:
    """Spoilt messages of which it does not depend on the clock what they are, once all windows have ended."""
    end = FIRST_WINDOW + windows * WINDOW_LENGTH
    found: list[RawMessage] = []
    while len(found) < SPOILT:
        one = spoiled(random)
        if by_definition([one], end) == by_definition([one], end + timedelta(days=1000)):
            found.append(one)
    return found
