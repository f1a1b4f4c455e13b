"""Sending messages to the topic: for the demo, for replays of files, for tests. The pipeline itself only reads it."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import confluent_kafka
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # not in its __all__

from aqi_dagster.errors import ConfigurationError, KafkaError, KafkaUnavailableError, TopicMissingError
from aqi_dagster.feeds.messages import Message
from aqi_dagster.pipeline.topic.admin import REFUSALS, await_answer, refusal
from aqi_dagster.progress import Progress, unwatched

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 30.0
"""Limit for a broker's answer and for a message's delivery, so that a broker that is away is an error, not a hang."""

DELIVERY_SETTINGS: dict[str, Any] = {
    "acks": "all",
    "enable.idempotence": True,
    "partitioner": "murmur2_random",  # Java's default: a sensor keeps its partition whoever produces
    "compression.type": "zstd",
    "linger.ms": 50,
}
"""librdkafka settings of our producer; the caller's settings override them."""

Client = TypeVar("Client")

_POLL_EVERY = 1000
_UNAVAILABLE = {
    confluent_kafka.KafkaError._ALL_BROKERS_DOWN,
    confluent_kafka.KafkaError._MSG_TIMED_OUT,
    confluent_kafka.KafkaError._RESOLVE,
    confluent_kafka.KafkaError._TIMED_OUT,
    confluent_kafka.KafkaError._TRANSPORT,
}


def create_topic(
    config: Mapping[str, str], topic: str, partitions: int, timeout_seconds: float = TIMEOUT_SECONDS
) -> bool:
    """Create ``topic`` with the cluster's default replication; ``False`` if it exists already, as it is then left.

    Raises ``KafkaUnavailableError`` if no broker answers, ``KafkaError`` if the cluster refuses.
    """
    troubles: list[confluent_kafka.KafkaError] = []
    # log_level 0: a refused login is told in the error, and may have come back a hundred times.
    admin = _client(AdminClient, {**config, "log_level": 0, "error_cb": troubles.append})
    future = admin.create_topics([NewTopic(topic, num_partitions=partitions)], request_timeout=timeout_seconds)[topic]
    failed = f"topic {topic} could not be created"
    refused = await_answer(admin, future, troubles)
    if refused is not None:
        raise _domain_error(failed, config, refused)
    try:
        future.result()
    except confluent_kafka.KafkaException as exception:
        error = exception.args[0]
        if error.code() == confluent_kafka.KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise _domain_error(failed, config, refusal(troubles) or error) from exception
    return True


def produce(
    config: Mapping[str, str],
    topic: str,
    messages: Iterable[Message],
    progress: Progress = unwatched,
    total: int | None = None,
) -> int:
    """Send all ``messages``, wait until the brokers have them, and return their number; see ``TopicWriter``.

    ``progress`` is in messages that were delivered, of ``total`` if that is known.
    """
    writer = TopicWriter(config, topic, lambda delivered: progress("messages sent", delivered, total))
    try:
        writer.send(messages)
    finally:
        # Also what was queued before a bad line of a file: it counts once if the file is sent again.
        delivered = writer.flush()
    return delivered


class TopicWriter:
    """Sends messages to one topic, with every delivery confirmed by all in-sync replicas.

    Parameters
    ----------
    config
        Settings of librdkafka, ``bootstrap.servers`` among them.
    topic
        An existing topic; ``TopicMissingError`` if there is none, ``KafkaUnavailableError`` if no broker answers.
    timeout_seconds
        Limit for the first answer and for each message's delivery.
    """

    def __init__(
        self,
        config: Mapping[str, str],
        topic: str,
        on_delivered: Callable[[int], None] | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._config = config
        self._topic = topic
        self._on_delivered = on_delivered
        self._reported = 0
        # An object of its own: a producer that refers to its owner would keep its connection until the next collection.
        self._outcome = _Outcome()
        settings = {"message.timeout.ms": round(timeout_seconds * 1000), "on_delivery": self._outcome.note}
        self._producer = _client(confluent_kafka.Producer, DELIVERY_SETTINGS | settings | dict(config))
        try:
            # All topics, because a question for a single one can create it.
            topics = self._producer.list_topics(timeout=timeout_seconds).topics
        except confluent_kafka.KafkaException as exception:
            raise _domain_error("no broker answered", config, exception.args[0]) from exception
        if topic not in topics:
            raise TopicMissingError(f"{config.get('bootstrap.servers')} has no topic {topic}: create it first")

    def send(self, messages: Iterable[Message]) -> None:
        """Queue ``messages``, waiting where the queue is full.

        Raises ``KafkaUnavailableError`` or ``KafkaError`` as soon as a delivery is known to have failed.
        """
        for number, message in enumerate(messages, start=1):
            while not self._queue(message):
                self._serve(0.1)
            if number % _POLL_EVERY == 0:
                self._serve(0)

    def flush(self) -> int:
        """Wait until all that was queued is delivered and return the number of messages delivered in all."""
        while self._producer.flush(0.2):
            self._serve(0)
        self._serve(0)
        return self._outcome.delivered

    def _queue(self, message: Message) -> bool:
        try:
            self._producer.produce(self._topic, key=message.key, value=message.value)
        except BufferError:
            return False
        except confluent_kafka.KafkaException as exception:
            raise _domain_error(f"{self._topic} takes no message", self._config, exception.args[0]) from exception
        return True

    def _serve(self, timeout_seconds: float) -> None:
        self._producer.poll(timeout_seconds)
        delivered = self._outcome.delivered
        if self._outcome.failure is not None:
            self._producer.purge()
            what = f"{self._topic} took {delivered} messages, then a delivery failed"
            raise _domain_error(what, self._config, self._outcome.failure)
        if self._on_delivered is not None and delivered > self._reported:
            self._reported = delivered
            self._on_delivered(delivered)


class _Outcome:
    """How many messages were delivered, and the first failure."""

    def __init__(self) -> None:
        self.delivered = 0
        self.failure: confluent_kafka.KafkaError | None = None

    def note(self, error: confluent_kafka.KafkaError | None, _: confluent_kafka.Message) -> None:
        if error is None:
            self.delivered += 1
        elif self.failure is None:
            self.failure = error


def _client(kind: Callable[..., Client], settings: Mapping[str, Any]) -> Client:
    """A client with ``settings``; ``ConfigurationError`` if it does not take them."""
    try:
        return kind(settings, logger=logger)
    except confluent_kafka.KafkaException as exception:
        reason = exception.args[0].str()
    raise ConfigurationError(f"Kafka's client refuses its settings: {reason}. Mend the KAFKA_CONFIG_* variables.")


def _domain_error(what: str, config: Mapping[str, str], error: confluent_kafka.KafkaError) -> KafkaError:
    servers = config.get("bootstrap.servers")
    if error.code() in _UNAVAILABLE:
        return KafkaUnavailableError(f"{what}: {servers} does not answer ({error.str()}). Is the broker running?")
    advice = " Check the KAFKA_CONFIG_* variables." if error.code() in REFUSALS else ""
    return KafkaError(f"{what} at {servers}: {error.str()} ({error.name()}).{advice}")
