"""The 12-hour window: the unit in which readings are scored, classified and told.

Everything that speaks of windows (the Dagster partitions, the SQL, the command line) takes its arithmetic from here.
Times are naive ``datetime`` in UTC, as they are in DuckDB's TIMESTAMP columns.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

WINDOW_LENGTH = timedelta(hours=12)
"""Windows are [00:00, 12:00) and [12:00, 24:00) UTC, as in the streaming notebook this pipeline rebuilds."""

WINDOW_CRON = "0 0,12 * * *"
"""When a window ends and the next begins, as cron in UTC."""

KEY_FORMAT = "%Y-%m-%dT%H:%M"
"""Text of a window's start, used as Dagster's partition key."""

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


def windows_between(first: datetime, last: datetime) -> Iterator[datetime]:
    """Starts of all windows from ``first`` to ``last``, both included, in order."""
    start = first
    while start <= last:
        yield start
        start += WINDOW_LENGTH
