"""How far work is that may take long: whoever does it reports, and whoever watches is told now and then.

Work takes a :class:`Progress` and calls it as often as it likes. It need not know who watches: a terminal
(:func:`on_terminal`), the log of a run (:class:`Lines`), or nobody (:func:`unwatched`).
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")

FIRST_AFTER = 2.0
"""Seconds that a stage may take before anything is said of it."""

FIRST_PAUSE, GROWTH, LONGEST_PAUSE = 3.0, 1.5, 60.0
"""Seconds between the first two lines; by how much each further pause is longer; and the most: 70 lines in an hour."""


class Progress(Protocol):
    """Where work reports how far it is."""

    def __call__(self, stage: str, done: int, total: int | None = None, /) -> None:
        """Report that ``done`` of ``total`` are done, which is None where nobody knows it.

        ``stage`` names what is counted, such as ``windows scored``. Another name, or fewer that are done, begins
        another stage. A stage begins with its first report: the time that is left follows from what was done since.
        """


def unwatched(stage: str, done: int, total: int | None = None, /) -> None:
    """Nobody watches."""


def watched(items: Iterable[Item], stage: str, total: int | None, progress: Progress) -> Iterator[Item]:
    """Yield ``items``, and report each one once whoever asked for it is done with it."""
    progress(stage, 0, total)
    for done, item in enumerate(items, start=1):
        yield item
        progress(stage, done, total)


class Lines:
    """Progress in lines of text, which ``say`` is called with: none in the first seconds of a stage, then ever fewer.

    >>> seconds = iter([0.0, 1.0, 3.0, 3.5, 9.0])
    >>> lines = Lines(print, clock=lambda: next(seconds))
    >>> for done in (0, 100, 300, 350, 900):
    ...     lines("windows scored", done, 900)
    windows scored: 300 of 900 (33 %), about 6 s left
    windows scored: all 900, in 9 s
    """

    def __init__(self, say: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._stage, self._last = "", 0

    def __call__(self, stage: str, done: int, total: int | None = None, /) -> None:
        """Say it if the pause since the last line is over; and the end, if anything was said before."""
        now = self._clock()
        if stage != self._stage or done < self._last:
            self._stage, self._began, self._done_before = stage, now, done
            self._pause, self._due, self._said = FIRST_PAUSE, now + FIRST_AFTER, False
        self._last = done
        at_end = total is not None and done >= total
        if at_end and self._said:
            self._say(f"{stage}: all {done:,}, in {_duration(now - self._began)}")
            self._said = False
        elif now >= self._due and not at_end:
            self._said = True
            self._say(self._line(done, total, now - self._began))
            self._due = now + self._pause
            self._pause = min(self._pause * GROWTH, LONGEST_PAUSE)

    def _line(self, done: int, total: int | None, elapsed: float) -> str:
        if total is None:
            return f"{self._stage}: {done:,} so far"
        line = f"{self._stage}: {done:,} of {total:,} ({100 * done // total} %)"
        recent = done - self._done_before
        return f"{line}, about {_duration(elapsed * (total - done) / recent)} left" if recent > 0 else line


class _Bar:
    """Progress as a bar of tqdm, for a terminal; a stage that ends at once has none."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int | None = None, /) -> None:
        # Only a terminal needs it.
        from tqdm import tqdm

        bar = self._bar
        if bar is None or stage != self._stage or done < bar.n:
            self.close()
            self._stage = stage
            bar = self._bar = tqdm(desc=stage, total=total, initial=done, delay=FIRST_AFTER, unit="", unit_scale=True)
        bar.total = total
        bar.update(done - bar.n)

    def close(self) -> None:
        """End the bar and leave it on the screen."""
        if self._bar is not None:
            self._bar.close()


@contextmanager
def on_terminal() -> Iterator[Progress]:
    """Progress on stderr for the time of the block: a bar if that is a terminal, and lines otherwise."""
    if not sys.stderr.isatty():
        yield Lines(lambda line: print(line, file=sys.stderr, flush=True))
        return
    bar = _Bar()
    try:
        yield bar
    finally:
        bar.close()


def _duration(seconds: float) -> str:
    """A number of seconds for people.

    >>> [_duration(seconds) for seconds in (0.4, 59.4, 60, 3_599, 7_300)]
    ['1 s', '59 s', '1 min', '59 min', '2 h 1 min']
    """
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
