"""Clocks: that of the machine, and the one of a feed, which PurpleAir's own times set right."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

BELIEVED = timedelta(days=1).total_seconds()
"""Seconds between our time and PurpleAir's beyond which one answer is not believed."""

AGREEING = 120.0
"""Seconds by which two answers may differ about the time and agree all the same."""


class Clock(Protocol):
    """What a feed knows of time: seconds since 1970, seconds that never go back, and waiting."""

    def time(self) -> float: ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clock."""

    def time(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since any moment, however the clock is set meanwhile."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(max(seconds, 0))


class FeedClock:
    """The time by which a feed of PurpleAir's API counts days: PurpleAir's, once its answers have told it.

    Before that it is the machine's, but never earlier than ``latest``, which PurpleAir told before; and from then on
    the machine's clock may jump as it likes. What PurpleAir tells is believed if it is within a day of that, or if two
    answers agree.
    """

    def __init__(self, clock: Clock, latest: float = 0.0) -> None:
        self.clock = clock
        self._offset = max(clock.time(), latest) - clock.monotonic()
        self._before: float | None = None
        self.believed = False

    def now(self) -> float:
        """Seconds since 1970."""
        return self.clock.monotonic() + self._offset

    def learn(self, told: float) -> bool:
        """Take over the time ``told`` by PurpleAir, if it is to be believed."""
        offset = told - self.clock.monotonic()
        agrees = self._before is not None and abs(offset - self._before) <= AGREEING
        self._before = offset
        if abs(offset - self._offset) > BELIEVED and not agrees:
            return False
        self._offset, self.believed = offset, True
        return True


class MachineTime(FeedClock):
    """The machine's own time, whatever it is set to."""

    def now(self) -> float:
        """Seconds since 1970."""
        return self.clock.time()


def day_of(seconds: float) -> str:
    """The UTC day of a moment, as ISO has it."""
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def next_day(seconds: float) -> float:
    """Seconds from a moment to the next UTC day."""
    return 86_400 - seconds % 86_400


def in_words(seconds: float) -> str:
    """A moment as people read it.

    >>> in_words(1658102400)
    '2022-07-18 00:00:00 UTC'
    """
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
