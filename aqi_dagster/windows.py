"""The 12-hour window: the unit in which readings are scored and classified, and alerts sent.

All code that handles windows (the Dagster partitions, the SQL, the command line) imports its arithmetic from here.
Times are naive ``datetime`` in UTC, as they are in DuckDB's TIMESTAMP columns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Self

WINDOW_LENGTH = timedelta(hours=12)
"""Windows are [00:00, 12:00) and [12:00, 24:00) UTC, as in the streaming notebook this pipeline rebuilds."""

WINDOW_CRON = "0 0,12 * * *"
"""The times at which one window ends and the next begins, as cron in UTC."""

KEY_FORMAT = "%Y-%m-%dT%H:%M"
"""Format of a window's start as Dagster's partition key."""

_ORIGIN = datetime(1970, 1, 1)  # noqa: DTZ001 (naive UTC by convention, see the module's docstring)


def utc_now() -> datetime:
    """The present moment as naive UTC."""
    return datetime.now(UTC).replace(tzinfo=None)


def window_start(moment: datetime) -> datetime:
    """Start of the window that holds ``moment``."""
    return moment - (moment - _ORIGIN) % WINDOW_LENGTH


def week_start(moment: datetime) -> datetime:
    """Start of the week that holds ``moment``: Monday, 00:00 UTC."""
    return datetime.combine(moment.date() - timedelta(days=moment.weekday()), time.min)


def window_key(start: datetime) -> str:
    """Partition key of the window that starts at ``start``."""
    return start.strftime(KEY_FORMAT)


def parse_key(key: str) -> datetime:
    """Start of the window with partition key ``key``; ``ValueError`` if no window starts there."""
    start = datetime.strptime(key, KEY_FORMAT)  # noqa: DTZ007 (naive UTC by convention)
    if window_start(start) != start:
        raise ValueError(f"no window starts at {key}: windows start at 00:00 and 12:00 UTC")
    return start


@dataclass(frozen=True)
class WindowRange:
    """Consecutive windows, from the one that starts at ``first`` to the one that starts at ``last``, both included.

    Iterating over a range yields the starts of its windows, in order. ``ValueError`` if no window starts at one of the
    two, or if ``last`` is earlier than ``first``.

    >>> str(WindowRange(datetime(2022, 7, 18), datetime(2022, 7, 18, 12)))
    '2022-07-18T00:00 to 2022-07-18T12:00'
    """

    first: datetime
    last: datetime

    def __post_init__(self) -> None:
        """Raise ``ValueError`` unless the two are the starts of windows, in order."""
        for start in (self.first, self.last):
            if window_start(start) != start:
                raise ValueError(f"no window starts at {start}")
        if self.last < self.first:
            raise ValueError(f"the range ends with window {self.last}, before it begins with {self.first}")

    @classmethod
    def of(cls, starts: Sequence[datetime]) -> Self:
        """The range that consists of the windows with these ``starts``; ``ValueError`` unless they are consecutive."""
        windows = cls(starts[0], max(starts))
        if list(windows) != list(starts):
            raise ValueError("windows must be consecutive: the detectors of each build on those of the one before")
        return windows

    @classmethod
    def of_keys(cls, first: str, last: str) -> Self:
        """The range between the windows with these partition keys."""
        return cls(parse_key(first), parse_key(last))

    @property
    def end(self) -> datetime:
        """End of the last window, excluded."""
        return self.last + WINDOW_LENGTH

    @property
    def keys(self) -> tuple[str, str]:
        """Partition keys of the first and the last window."""
        return window_key(self.first), window_key(self.last)

    def parts(self, most: int) -> Iterator[Self]:
        """The range in consecutive parts of ``most`` windows each, or fewer in the last one.

        >>> [len(part) for part in WindowRange(datetime(2022, 7, 18), datetime(2022, 7, 20)).parts(2)]
        [2, 2, 1]
        """
        starts = list(self)
        for begin in range(0, len(starts), most):
            yield type(self).of(starts[begin : begin + most])

    @property
    def bounds(self) -> dict[str, datetime]:
        """The parameters ``$first`` and ``$last`` of a statement."""
        return {"first": self.first, "last": self.last}

    def __iter__(self) -> Iterator[datetime]:
        start = self.first
        while start <= self.last:
            yield start
            start += WINDOW_LENGTH

    def __len__(self) -> int:
        return (self.last - self.first) // WINDOW_LENGTH + 1

    def __contains__(self, start: datetime) -> bool:
        return self.first <= start <= self.last and window_start(start) == start

    def __str__(self) -> str:
        return " to ".join(self.keys)
