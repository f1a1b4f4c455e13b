"""From the outbox to the topic, whenever there are brokers."""

import logging
from collections.abc import Mapping

from aqi_dagster.errors import KafkaError
from aqi_dagster.feeds.producer import TopicWriter, create_topic
from aqi_dagster.polling.memory import Memory
from aqi_dagster.polling.told_once import ToldOnce

AT_ONCE = 5_000
"""Messages that are read from the outbox, sent and noted together."""

TIMEOUT_SECONDS = 20.0
"""Limit for the brokers, so that one that is away does not hold up the next poll."""

_log = logging.getLogger(__name__)


class Delivery:
    """Sends what waits in ``memory`` to ``topic``, which is made with ``partitions`` if it is not there.

    Messages are kept for ``keep_seconds`` after the brokers had them, for a broker that forgets all when it ends.
    """

    def __init__(
        self,
        memory: Memory,
        config: Mapping[str, str],
        topic: str,
        partitions: int,
        told: ToldOnce,
        keep_seconds: float = 0.0,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self._memory = memory
        self._config = config
        self._topic = topic
        self._partitions = partitions
        self._told = told
        self._keep_seconds = keep_seconds
        self._timeout = timeout
        self._writer: TopicWriter | None = None
        self.failure: KafkaError | None = None

    def deliver(self, now: float) -> bool:
        """Send all that waits; False, and all of it goes on to wait, if the brokers do not take it."""
        try:
            while self._deliver_some(now):
                pass
        except KafkaError as error:
            # A new client for the next attempt: this one may hold messages whose delivery nobody knows.
            self._writer, self.failure = None, error
            self._told.trouble("Kafka", str(error))
            return False
        self.failure = None
        self._told.well("Kafka")
        self._memory.forget_sent(now - self._keep_seconds)
        return True

    def _deliver_some(self, now: float) -> bool:
        last, messages = self._memory.waiting(AT_ONCE)
        if not messages:
            return False
        if self._writer is None:
            if create_topic(self._config, self._topic, self._partitions, self._timeout):
                _log.info("Created topic %s with %d partitions.", self._topic, self._partitions)
            self._writer = TopicWriter(self._config, self._topic, timeout_seconds=self._timeout)
        self._writer.send(messages)
        self._writer.flush()
        with self._memory.transaction():
            self._memory.note_sent(last, now)
            self._memory.note("sent_at", now)
        return True
