"""The errors of a topic: each names broker, topic, partition and offset, and says what to do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaError as KafkaErrorCode

from aqi_dagster.errors import (
    ConfigurationError,
    KafkaError,
    KafkaUnavailableError,
    OffsetBeyondEndError,
    OffsetsExpiredError,
    PartitionStalledError,
    TopicMissingError,
)

_KEPT = "What was taken in before is kept"


@dataclass(frozen=True)
class TopicFaults:
    """The errors of one topic; ``timeout`` is the time in seconds that its broker had to answer."""

    servers: str
    topic: str
    timeout: float

    def refused(self, error: KafkaErrorCode) -> ConfigurationError:
        """The client rejects its settings."""
        return ConfigurationError(
            f"Kafka's client refuses its settings: {error.str()}. Mend the KAFKA_CONFIG_* variables."
        )

    def login_refused(self, error: KafkaErrorCode) -> KafkaUnavailableError:
        """The broker, or the client itself, rejects the login settings."""
        return KafkaUnavailableError(
            f"The broker at {self.servers} does not let this client in to topic {self.topic!r}: {error.str()} "
            f"({error.name()}). Check the KAFKA_CONFIG_* settings."
        )

    def unavailable(self, do: str, error: KafkaErrorCode) -> KafkaUnavailableError:
        """The broker did not ``do`` something to the topic in time."""
        return KafkaUnavailableError(
            f"The broker at {self.servers} did not {do} topic {self.topic!r} within {self.timeout:g} s: "
            f"{error.str()} ({error.name()}). Check that it runs and that KAFKA_BOOTSTRAP_SERVERS and the "
            "KAFKA_CONFIG_* settings are right."
        )

    def missing(self) -> TopicMissingError:
        """The broker has no such topic."""
        return TopicMissingError(
            f"The broker at {self.servers} has no topic {self.topic!r}. Check KAFKA_TOPIC, or create the topic: "
            "`aqi-dagster produce` does so when it loads a file."
        )

    def went_away(self, partition: int | None, error: KafkaErrorCode) -> TopicMissingError:
        """The topic or partition was deleted after it was assigned."""
        return TopicMissingError(
            f"{self._where(partition)}, went away while it was read: {error.str()}. {_KEPT}. Run again once the "
            "topic is there."
        )

    def failed(self, partition: int | None, offset: int | None, error: KafkaErrorCode) -> KafkaError:
        """Any other error of a fetch."""
        return KafkaError(
            f"{self._where(partition)}, offset {offset}: {error.str()} ({error.name()}). {_KEPT}; run "
            "again once the cause is mended."
        )

    def out_of_range(self, partition: int, offset: int, low: int, high: int) -> KafkaError:
        """The log of a partition holds the offsets from ``low`` to ``high``, and ``offset`` is none of them."""
        if offset < low:
            return OffsetsExpiredError(
                f"{self._where(partition)}: offsets {offset} to {low - 1} were removed by the broker's retention "
                "before they were read, so those readings are lost. Lengthen the topic's retention; then let the "
                "pipeline go on behind the gap by setting KAFKA_ON_EXPIRED_OFFSETS=skip for one run."
            )
        return OffsetBeyondEndError(
            f"{self._where(partition)}: the next offset to read is {offset}, but the log ends at {high}. The topic was "
            "truncated, or KAFKA_BOOTSTRAP_SERVERS or KAFKA_TOPIC points to another one than before. Point them back, "
            "or set AQI_DATA_DIR to a new folder to read this topic from its beginning."
        )

    def stalled(self, partitions: Iterable[int], positions: Mapping[int, int]) -> PartitionStalledError:
        """``partitions`` sent neither a message nor the end of their log within the timeout."""
        places = ", ".join(
            f"{p} at {'its beginning' if positions[p] < 0 else f'offset {positions[p]}'}" for p in sorted(partitions)
        )
        return PartitionStalledError(
            f"Topic {self.topic!r} at {self.servers}: no message and no end of log for {self.timeout:g} s from "
            f"partition {places}. The broker is down or does not serve the partition, or the offset lies beyond the "
            f"end of its log. {_KEPT}. Check the broker and run again; KAFKA_TIMEOUT_SECONDS sets how long to wait."
        )

    def _where(self, partition: int | None) -> str:
        return f"Topic {self.topic!r} at {self.servers}, partition {partition}"
