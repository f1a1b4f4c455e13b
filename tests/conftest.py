"""What the tests share: a broker, topics, stores, and messages as producers write them."""

import gc
import json
import signal
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest
from duckdb import DuckDBPyConnection
from hypothesis import HealthCheck, settings

from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.demo.summer import Summer
from aqi_dagster.feeds.producer import produce
from aqi_dagster.pipeline.store.connections import Store
from tests.support.environment import forget_settings
from tests.support.lacking import lacking
from tests.support.messages import FIRST_WINDOW
from tests.support.places import SHARED
from tests.support.ports import free_port
from tests.support.slack_server import Slack, slack_server
from tests.support.summer_file import DAYS
from tests.support.topics import Topic
from tests.support.waiting import LIMIT_SECONDS

pytest_plugins = ["tests.support.promises"]


def pytest_configure() -> None:
    """Before any test module is imported, forget the developer's own settings, and what Hypothesis expects of time."""
    forget_settings()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts background jobs with SIGINT ignored. Dagster has SIGTERM treated as SIGINT, so processes that
        # tests start, Apache Kafka among them, would then ignore both, and end by force alone.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # On a busy machine an example takes many times as long as on an idle one, and so does making it.
    settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any machine")


def pytest_unconfigure() -> None:
    """Let go of Hypothesis's hook, which keeps modules alive at exit, so that DuckDB prints pages of "leaked"."""
    gc.callbacks.clear()


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
def summer_topic(topic: Topic) -> Topic:
    """A topic that holds the first days of a summer that begins with the first window."""
    messages = Summer(FIRST_WINDOW).messages(FIRST_WINDOW, FIRST_WINDOW + timedelta(days=DAYS))
    produce({"bootstrap.servers": topic.servers}, topic.name, messages)
    return topic


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path, lock_timeout=LIMIT_SECONDS)


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
        pytest.skip(lacking(path))
    return path


@pytest.fixture
def unused_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on."""
    return free_port()
