"""The Kafka topic as a Dagster resource."""

from datetime import timedelta

import dagster as dg
from pydantic import Field

from aqi_dagster import defaults
from aqi_dagster.message_fields import FieldNames
from aqi_dagster.pipeline.readings.pull import PullPolicy, PullReport, pull
from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.pipeline.topic.reader import TopicReader
from aqi_dagster.progress import Progress, unwatched


class KafkaResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The topic of the readings, and the limits of a pull."""

    bootstrap_servers: str = Field(description="host:port of the brokers, comma-separated")
    topic: str = Field(description="Topic that holds the readings")
    librdkafka: dict[str, str] = Field(
        default={}, description="Further librdkafka settings by their own names; secrets as EnvVar"
    )
    field_names: dict[str, str] = Field(
        default={}, description="What the topic calls the known fields of a message, for those that it names otherwise"
    )
    timeout_seconds: float = Field(
        default=defaults.KAFKA_TIMEOUT_SECONDS, description="Silence of a broker or partition that is an error"
    )
    chunk_messages: int = Field(
        default=defaults.KAFKA_CHUNK_MESSAGES, description="Messages that one transaction takes in"
    )
    future_allowance_minutes: float = Field(
        default=defaults.FUTURE_ALLOWANCE_MINUTES,
        description="How far created_at may lie ahead of our clock before a message is rejected",
    )
    max_rejected_share: float = Field(
        default=defaults.MAX_REJECTED_SHARE,
        description="Share of a pull's messages, 0 to 1, that may be rejected before a check warns",
    )
    reread_recreated_topic: bool = Field(
        default=False, description="Read a topic that was made anew from its beginning instead of failing"
    )
    skip_expired_offsets: bool = Field(
        default=False,
        description="Pass over offsets that retention removed unread, and record them, instead of failing",
    )

    @property
    def reader(self) -> TopicReader:
        """A reader of the topic, which does not connect before its first use."""
        return TopicReader(
            {**self.librdkafka, "bootstrap.servers": self.bootstrap_servers},
            self.topic,
            timeout=self.timeout_seconds,
            chunk_messages=self.chunk_messages,
        )

    def pull(self, writer: Writer, progress: Progress = unwatched) -> PullReport:
        """Pull all messages up to the present end of the topic into the store; ``progress`` is in messages."""
        policy = PullPolicy(
            future_allowance=timedelta(minutes=self.future_allowance_minutes),
            field_names=FieldNames(self.field_names),
            reread_recreated_topic=self.reread_recreated_topic,
            skip_expired_offsets=self.skip_expired_offsets,
        )
        return pull(writer, self.reader, policy, progress)
