"""The feed of PurpleAir's API with thousands of sensors: processor time of its polls, and the memory of its process.

Its clock goes on by waiting alone, so a day of polls takes seconds; all else is as it is.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from aqi_dagster.feeds.context import Context
from aqi_dagster.polling.api import PurpleAir
from aqi_dagster.polling.clock import FeedClock
from aqi_dagster.polling.delivery import Delivery
from aqi_dagster.polling.memory import opened_memory
from aqi_dagster.polling.purpleair_feed import Options, PurpleAirFeed
from aqi_dagster.polling.selections import box

BEGIN = 1_658_102_400

INTERVAL = 600

POINTS_A_DAY = 100_000_000


class _WaitingClock:
    """A clock that goes on by waiting alone."""

    def __init__(self) -> None:
        self._now = float(BEGIN)

    def time(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds


def run(servers: str, topic: str, url: str, key: str, polls: str) -> dict[str, float]:
    """Seconds of processor that a poll takes, and the most memory of this process alone, in bytes."""
    clock = _WaitingClock()
    with TemporaryDirectory() as folder, opened_memory(Path(folder), "purpleair") as memory:
        options = Options(interval=INTERVAL, points_a_day=POINTS_A_DAY)
        feed = PurpleAirFeed(
            PurpleAir(key, url), [box("90,-180,-90,180")], memory, Context(), FeedClock(clock), options
        )
        delivery = Delivery(memory, {"bootstrap.servers": servers}, topic, 4, feed.told)
        started = time.process_time()
        for _ in range(int(polls)):
            pause = feed.poll()
            if not delivery.deliver(clock.time()):
                raise RuntimeError(f"the messages were not sent: {delivery.failure}")
            clock.sleep(pause)
        return {"processor": (time.process_time() - started) / int(polls), "most": _most_memory()}


def _most_memory() -> int:
    """What this program had at most; what wait4 tells may be the parent's, from which it was forked."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if found is None:
        raise RuntimeError("this system does not tell the memory of a process")
    return int(found[1]) * 1024


@contextmanager
def sensors_of(count: int) -> Iterator[tuple[str, str]]:
    """The address and key of a server that stands for PurpleAir's API with so many sensors."""
    from tests.support.purpleair_server import KEY, Device, purpleair_server

    devices = [Device(30_001 + number, number % 160 - 80 + 0.1, number % 340 - 170 + 0.1) for number in range(count)]
    with purpleair_server(*devices) as server:
        server.now = lambda: BEGIN + INTERVAL * len(server.requests)
        yield server.url, KEY
