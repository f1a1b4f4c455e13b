"""Events of runs in batches: how many at once, and how their times differ.

Dagster stores the events of a run one by one unless the process that makes them has a batch size, on Postgres too. The
*Events* tab of an asset shows one event a millisecond; those of a batch are made many in a millisecond.
"""

import logging
import os
from collections.abc import Callable
from threading import Lock
from typing import Any

BATCH_SIZE = "DAGSTER_EVENT_BATCH_SIZE"
"""Dagster's variable for the most events of a batch; 0 stores them one by one."""

EVENTS_AT_ONCE = 1_000
"""Events of a batch, unless DAGSTER_EVENT_BATCH_SIZE is set."""

LOGGER_OF_RUNS = "dagster"
"""The logger through whose records the events of a run come; an event has the time of its record."""


def store_events_in_batches() -> None:
    """Have this process hand over the events of its runs in batches, each event with a millisecond of its own."""
    os.environ.setdefault(BATCH_SIZE, str(EVENTS_AT_ONCE))
    if not isinstance(logging.getLogRecordFactory(), OwnMilliseconds):
        logging.setLogRecordFactory(OwnMilliseconds(logging.getLogRecordFactory()))


class OwnMilliseconds:
    """A factory of log records whose records of runs are at least a millisecond apart, in their order.

    Of those made within a millisecond the later ones get a time that is yet to come: the thousandth of a batch of 1,000
    is ahead of the clock by less than a second.
    """

    def __init__(self, made_by: Callable[..., logging.LogRecord]) -> None:
        self._made_by = made_by
        self._lock = Lock()
        self._newest = 0

    def __call__(self, name: str, *arguments: Any, **named: Any) -> logging.LogRecord:
        """The record that the factory before this one makes, later if need be."""
        record = self._made_by(name, *arguments, **named)
        if name == LOGGER_OF_RUNS:
            with self._lock:
                millisecond = int(record.created * 1000)
                if millisecond <= self._newest < millisecond + MOST_AHEAD:
                    millisecond = self._newest + 1
                    record.created, record.msecs = (millisecond + 0.5) / 1000, float(millisecond % 1000)
                self._newest = millisecond
        return record


MOST_AHEAD = 60_000
"""Milliseconds; a record that is so much older than the one before was made after the clock was set back."""
