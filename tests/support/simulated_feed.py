"""``python -m tests.support.simulated_feed``: the feed of PurpleAir's API as a process, on a clock that a file holds.

The clock goes on by the feed's own waiting alone, so days take seconds, and it stands still while no process lives. Its
second number is how far the machine's clock is wrong.
"""

import mmap
import struct
import sys
from pathlib import Path

from aqi_dagster.feeds.context import Context
from aqi_dagster.polling.api import PurpleAir
from aqi_dagster.polling.clock import FeedClock
from aqi_dagster.polling.delivery import Delivery
from aqi_dagster.polling.loop import run
from aqi_dagster.polling.memory import opened_memory
from aqi_dagster.polling.purpleair_feed import Options, PurpleAirFeed
from aqi_dagster.polling.selections import box
from tests.support.feeds import OREGON
from tests.support.purpleair_server import KEY

_NUMBERS = struct.Struct("dd")


class FileClock:
    """A clock in a file, which several processes share."""

    def __init__(self, path: Path, seconds: float | None = None) -> None:
        if seconds is not None:
            path.write_bytes(_NUMBERS.pack(seconds, 0.0))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _NUMBERS.size)

    def monotonic(self) -> float:
        return float(_NUMBERS.unpack(self._map[:])[0])

    def time(self) -> float:
        return float(sum(_NUMBERS.unpack(self._map[:])))

    def sleep(self, seconds: float) -> None:
        now, wrong = _NUMBERS.unpack(self._map[:])
        self._map[:] = _NUMBERS.pack(now + max(seconds, 0.0), wrong)

    def be_wrong_by(self, seconds: float) -> None:
        """Set the machine's clock wrong."""
        self._map[:] = _NUMBERS.pack(self.monotonic(), seconds)


class _OverError(Exception):
    pass


class _EndingClock(FileClock):
    """Ends the process once it shows ``end``."""

    end = 0.0

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.monotonic() >= self.end:
            raise _OverError


def main(url: str, servers: str, topic: str, data_dir: str, clock_file: str, end: str, points_a_day: str) -> None:
    """Poll until ``end``, seconds since 1970."""
    clock = _EndingClock(Path(clock_file))
    clock.end = float(end)
    config = {"bootstrap.servers": servers, "linger.ms": "0"}
    with opened_memory(Path(data_dir), "purpleair") as memory:
        feed = PurpleAirFeed(
            PurpleAir(KEY, url, timeout=1.0),
            [box(OREGON)],
            memory,
            Context(),
            FeedClock(clock, memory.number("latest")),
            Options(points_a_day=int(points_a_day)),
        )
        try:
            run(feed, Delivery(memory, config, topic, 4, feed.told, timeout=1.0), once=False)
        except _OverError:
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
