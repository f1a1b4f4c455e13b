"""The round of every feed: ask, send, wait."""

from typing import Protocol

from aqi_dagster.polling.clock import FeedClock
from aqi_dagster.polling.delivery import Delivery

RETRY_SECONDS = 30.0
"""Time between attempts to send what the brokers did not take."""


class Feed(Protocol):
    """Something that can be asked."""

    clock: FeedClock

    def poll(self) -> float:
        """Ask once, lay what is new into the outbox, and return the seconds until the next time."""
        ...


def run(feed: Feed, delivery: Delivery, once: bool) -> None:
    """Poll for ever, or ``once``: then what the brokers refuse is an error, and goes out the next time.

    First of all goes out what waits since the last time: the first poll may have to wait for new data.
    """
    delivery.deliver(feed.clock.now())
    while True:
        pause = feed.poll()
        sent = delivery.deliver(feed.clock.now())
        if once:
            if delivery.failure is not None:
                raise delivery.failure
            return
        until = feed.clock.clock.monotonic() + pause
        while (rest := until - feed.clock.clock.monotonic()) > 0:
            feed.clock.clock.sleep(rest if sent else min(rest, RETRY_SECONDS))
            sent = sent or delivery.deliver(feed.clock.now())
