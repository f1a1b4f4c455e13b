"""What the tests share: a broker, topics, stores, and messages as producers write them."""

import gc
import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pyarrow as pa
import pytest
from confluent_kafka import Message as Delivered
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # not in its __all__
from duckdb import DuckDBPyConnection

from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.pipeline.batches import MESSAGES_SCHEMA
from aqi_dagster.pipeline.classifying import classify_windows
from aqi_dagster.pipeline.consuming import TopicReader
from aqi_dagster.pipeline.decoding import decode
from aqi_dagster.pipeline.ingesting import Ingested, ingest
from aqi_dagster.pipeline.messages import PM25_FIELD, TIME_FORMAT
from aqi_dagster.pipeline.regions import OneRegion
from aqi_dagster.pipeline.store import Store
from tests.slack_server import Slack, slack_server


def at(text: str) -> datetime:
    """The moment that an ISO text names, as naive UTC."""
    return datetime.fromisoformat(text)


FIRST_WINDOW = at("2022-07-18")
NOW = at("2022-09-01")
"""The present moment of the tests that need one."""

ALLOWANCE = timedelta(minutes=10)

REGION = OneRegion("Lake Tahoe")

# Sensors with an anomaly each, by the verdict that they make.
SMOKE = ["45.1, -122", "45.2, -122"]
MALFUNCTION = ["45.1, -122"]
NOTHING: list[str] = []

SHARED = Path(__file__).parents[2] / "shared"

RawMessage = tuple[bytes | None, bytes | None]
"""Key and value."""


def pytest_configure() -> None:
    """Forget the developer's own settings before any test module is imported: partitions.py reads them at import."""
    for name in [name for name in os.environ if name.startswith(("AQI_", "KAFKA_", "SLACK_"))]:
        del os.environ[name]


def pytest_unconfigure() -> None:
    """Let go of Hypothesis's hook, which keeps modules alive at exit, so that DuckDB prints pages of "leaked"."""
    gc.callbacks.clear()


def message(sensor: str, created_at: datetime, pm25: float, **fields: Any) -> RawMessage:
    """A message as producers write it: every value a text; ``fields`` are further ones."""
    value = {"created_at": created_at.strftime(TIME_FORMAT), PM25_FIELD: f"{pm25:.2f}"} | fields
    return json.dumps(sensor).encode(), json.dumps(value).encode()


def chunk(messages: Sequence[RawMessage], partitions: Sequence[int] = (0,), first_offset: int = 0) -> pa.Table:
    """``messages`` as a chunk read from Kafka, dealt out to ``partitions`` in turn."""
    rows = [
        {
            "kafka_partition": partitions[number % len(partitions)],
            "kafka_offset": first_offset + number // len(partitions),
            "key": key,
            "value": value,
        }
        for number, (key, value) in enumerate(messages)
    ]
    return pa.Table.from_pylist(rows, MESSAGES_SCHEMA)


def take_in(connection: DuckDBPyConnection, messages: Sequence[RawMessage], first_offset: int = 0) -> Ingested:
    """Ingest ``messages`` as one chunk of partition 0."""
    return ingest(connection, decode(chunk(messages, first_offset=first_offset), NOW, ALLOWANCE), 1, NOW)


def find(connection: DuckDBPyConnection, window: datetime, sensors: Sequence[str]) -> None:
    """Make one anomaly of each of ``sensors`` all the anomalies of ``window``, and classify it."""
    connection.execute("DELETE FROM anomalies WHERE window_start = ?", [window])
    for number, sensor in enumerate(sensors):
        anomaly = [sensor, window + timedelta(minutes=number), window, 500.0 + number, 0.9]
        connection.execute("INSERT INTO anomalies VALUES (?, ?, ?, ?, ?)", anomaly)
    classify_windows(connection, [window], REGION)


def rows(connection: DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    """All rows that ``query`` gives."""
    return connection.execute(query).fetchall()


@dataclass(frozen=True)
class Topic:
    """A topic of the test's own on the embedded broker."""

    name: str
    servers: str

    def create(self, partitions: int = 4) -> None:
        """Make the topic."""
        admin = AdminClient({"bootstrap.servers": self.servers})
        admin.create_topics([NewTopic(self.name, partitions)])[self.name].result(10)

    def delete(self) -> None:
        """Delete the topic."""
        admin = AdminClient({"bootstrap.servers": self.servers})
        admin.delete_topics([self.name])[self.name].result(10)

    def send(self, messages: Sequence[RawMessage], partition: int | None = None) -> list[tuple[int, int]]:
        """Produce ``messages`` to ``partition``, or in turn to all four; returns where they landed, in order."""
        places: dict[int, tuple[int, int]] = {}
        producer = Producer({"bootstrap.servers": self.servers})
        for number, (key, value) in enumerate(messages):

            def delivered(error: object, sent: Delivered, number: int = number) -> None:
                assert error is None, error
                places[number] = (sent.partition(), sent.offset())  # type: ignore[assignment]

            place = number % 4 if partition is None else partition
            producer.produce(self.name, value, key, place, on_delivery=delivered)
        assert producer.flush(10) == 0
        return [places[number] for number in range(len(messages))]

    def reader(self, kind: type[TopicReader] = TopicReader, **settings: Any) -> TopicReader:
        """A reader of this topic; ``settings`` are further arguments of :class:`TopicReader`."""
        # A short wait for more messages, because the end of an idle partition is told only after it.
        librdkafka = {"bootstrap.servers": self.servers, "fetch.wait.max.ms": 50}
        return kind(librdkafka, self.name, **{"timeout": 10.0, **settings})


@pytest.fixture
def slack() -> Iterator[Slack]:
    """A server that stands for Slack."""
    with slack_server() as slack:
        yield slack


@pytest.fixture(scope="session")
def broker() -> Iterator[EmbeddedBroker]:
    """One embedded broker for all tests."""
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def topic(broker: EmbeddedBroker) -> Topic:
    """A new topic with four partitions."""
    topic = Topic(f"readings-{uuid4()}", broker.bootstrap_servers)
    topic.create()
    return topic


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store whose lock is waited for only a short time."""
    return Store(tmp_path, lock_timeout=5.0)


@pytest.fixture
def connection(store: Store) -> Iterator[DuckDBPyConnection]:
    """The store's private database, open for the whole test."""
    with store.exclusive() as connection:
        yield connection


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance that leaves nothing behind."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture(scope="session")
def portland() -> Path:
    """The file of real readings from Portland, which is not part of the repository."""
    return _shared_file("data/portland_2020_native.ndjson.gz")


@pytest.fixture(scope="session")
def portland_golden() -> Mapping[str, Any]:
    """What the pipeline must find in the Portland file."""
    golden: Mapping[str, Any] = json.loads(_shared_file("golden/portland_windows.json").read_text())
    return golden


def _shared_file(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def unused_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on."""
    return free_port()
