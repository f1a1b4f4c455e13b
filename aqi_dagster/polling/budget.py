"""Points: what a day may cost, and what it has cost so far.

A request is paid for before it is sent, with the most that it may cost, and settled by its answer. So a feed that dies
in between has counted too much rather than too little.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aqi_dagster.errors import FeedError
from aqi_dagster.polling.clock import FeedClock, day_of, next_day
from aqi_dagster.polling.memory import Memory

DAY_SECONDS = 86_400
LONGEST_INTERVAL = 3_600.0
"""Seconds: asked less often than every hour, readings are too few for verdicts."""


class DaySpentError(Exception):
    """The points of the day are used up; ``seconds`` are left of it."""

    def __init__(self, seconds: float) -> None:
        super().__init__("the points of this day are used up")
        self.seconds = seconds


class Budget:
    """What ``memory`` knows was spent, and the ``limit`` for a UTC day by ``clock``."""

    def __init__(self, memory: Memory, clock: FeedClock, limit: int) -> None:
        self._memory = memory
        self._clock = clock
        self.limit = limit
        self._undated: list[tuple[str, int]] = []

    @property
    def spent(self) -> int:
        """The points of this day so far."""
        return self._memory.spent(day_of(self._clock.now()))

    @contextmanager
    def request(self, most: int) -> Iterator[Callable[[int], None]]:
        """Pay up to ``most`` points for the request in the block, which says what it cost; otherwise it cost them all.

        Raises ``DaySpentError`` unless there is room for this request and two more: so many are asked on a wrong day
        after a restart with a wrong clock, before PurpleAir's answers set it right.
        """
        day = day_of(self._clock.now())
        if self._memory.spent(day) + 3 * most > self.limit:
            raise DaySpentError(next_day(self._clock.now()))
        self._memory.spend(day, most)

        def settle(points: int) -> None:
            with self._memory.transaction():
                self._memory.spend(day, -most)
                self._spend_today(points)

        yield settle

    def _spend_today(self, points: int) -> None:
        """Count ``points`` to this day; also those that were counted before it was known which day it is."""
        today = day_of(self._clock.now())
        self._memory.spend(today, points)
        if not self._clock.believed:
            self._undated.append((today, points))
            return
        for day, earlier in self._undated:
            self._memory.spend(day, -earlier)
            self._memory.spend(today, earlier)
        self._undated.clear()


def fitting_interval(points: int, wanted: float, limit: int) -> float:
    """Seconds between polls of ``points`` each: those ``wanted``, or more if a day would cost more than ``limit``.

    Raises ``FeedError`` if that is more than an hour.

    >>> fitting_interval(705, 600, 150_000), fitting_interval(705, 600, 50_000)
    (600, 1290)
    """
    # One poll is kept for repeated questions, and two are what the budget keeps free.
    polls = limit // points - 3
    needed = -(-DAY_SECONDS // polls) if polls > 0 else LONGEST_INTERVAL + 1
    if needed > LONGEST_INTERVAL:
        raise FeedError(
            f"To ask for all of these sensors costs {points:,} points each time, so {limit:,} points a day do not "
            "suffice for once an hour. Choose fewer sensors, or more points (--points-a-day)."
        )
    return max(wanted, needed)
