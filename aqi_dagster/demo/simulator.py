"""The synthetic summer in real time: first the messages up to now, then each new one at its own time."""

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime

from aqi_dagster.demo.summer import Summer
from aqi_dagster.feeds.producer import TopicWriter
from aqi_dagster.windows import utc_now

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0
"""Time between two looks for new messages."""


def simulate(
    summer: Summer,
    config: Mapping[str, str],
    topic: str,
    begin: datetime,
    stop: threading.Event,
    on_delivered: Callable[[int], None] | None = None,
) -> int:
    """Send all messages from ``begin`` (naive UTC) to now at once, then each at its own time, until ``stop`` is set.

    Returns the number of messages delivered. Raises the errors of ``TopicWriter``, also when the broker goes away in
    between. A ``begin`` in the future sends nothing until then.
    """
    writer = TopicWriter(config, topic, on_delivered)
    logger.info("sending the readings from %s up to now to %s, then live ones", begin, topic)
    sent_to, delivered = begin, 0
    while not stop.is_set():
        now = utc_now()
        writer.send(summer.messages(sent_to, now))
        delivered = writer.flush()
        sent_to = max(sent_to, now)
        stop.wait(TICK_SECONDS)
    return delivered
