"""Logging in at Apache Kafka by SASL/PLAIN over TLS, with settings from the environment alone."""

import time
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import duckdb
import pytest

from aqi_dagster.errors import ConfigurationError, KafkaError, KafkaUnavailableError
from aqi_dagster.feeds import producer
from aqi_dagster.pipeline.topic.reader import TopicReader
from tests.support.command_line import Site
from tests.support.kafka_cluster import ApacheKafka
from tests.support.kafka_topics import LOGIN, kept
from tests.support.messages import FIRST_WINDOW
from tests.support.summer_file import SUMMER, ndjson
from tests.support.waiting import LIMIT_SECONDS, NEVER_SECONDS

RANGE = ("--from", "2022-07-18", "--to", "2022-07-18T12:00")

WRONG_PASSWORD = f"wrong-{uuid4().hex}"


@pytest.fixture
def secured(kafka: ApacheKafka) -> dict[str, str]:
    """librdkafka's settings that log in."""
    return {
        "bootstrap.servers": kafka.secured_servers,
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": LOGIN.username,
        "sasl.password": LOGIN.password,
        "ssl.ca.location": str(kafka.certificate),
    }


@pytest.fixture
def site(tmp_path: Path, secured: dict[str, str]) -> Site:
    """An installation whose environment logs in."""
    topic = {"KAFKA_TOPIC": f"secured-{uuid4()}", "KAFKA_TIMEOUT_SECONDS": str(NEVER_SECONDS)}
    servers = {"KAFKA_BOOTSTRAP_SERVERS": secured.pop("bootstrap.servers")}
    login = {f"KAFKA_CONFIG_{name.upper().replace('.', '_')}": value for name, value in secured.items()}
    return Site(tmp_path, topic | servers | login)


def files_with(folder: Path, text: str) -> set[str]:
    """Which files under ``folder`` hold ``text``, by their suffix."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.suffix for path in files if text.encode() in path.read_bytes()}


def test_the_pipeline_logs_in_and_keeps_the_password_to_itself(site: Site) -> None:
    day = site.folder / "day.ndjson.gz"
    count = ndjson(day, SUMMER.messages(FIRST_WINDOW, FIRST_WINDOW + timedelta(days=1)))
    runs = [site.run("produce", str(day)), site.run("materialize", *RANGE)]
    with duckdb.connect(str(site.published), read_only=True) as connection:
        assert len(kept(connection)) == count
    wrong = Site(site.folder, site.settings | {"KAFKA_CONFIG_SASL_PASSWORD": WRONG_PASSWORD})
    started = time.monotonic()
    refused = wrong.run("materialize", *RANGE, check=False)
    assert time.monotonic() - started < LIMIT_SECONDS
    assert refused.returncode == 1
    assert "Authentication failed: Invalid username or password" in refused.stderr
    assert "KAFKA_CONFIG_*" in refused.stderr
    unsent = wrong.run("produce", str(day), check=False)
    assert "Authentication failed: Invalid username or password" in unsent.stderr
    # What a run records is in Dagster's event log, and the topic's name in DuckDB: the search does look there.
    assert ".db" in files_with(site.folder, "pulled_readings")
    assert ".duckdb" in files_with(site.folder, site.settings["KAFKA_TOPIC"])
    for password in (LOGIN.password, WRONG_PASSWORD):
        assert files_with(site.folder, password) == set()
        assert all(password not in run.stdout + run.stderr for run in [*runs, refused, unsent])


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"sasl.password": WRONG_PASSWORD}, "Authentication failed: Invalid username or password"),
        ({"sasl.mechanism": "SCRAM-SHA-256"}, "broker's supported mechanisms: PLAIN"),
        ({"ssl.ca.location": ""}, "verify that ssl.ca.location is correctly configured"),
    ],
)
def test_a_login_that_is_refused_tells_why_before_the_time_is_over(
    secured: dict[str, str], changed: dict[str, str], told: str
) -> None:
    started = time.monotonic()
    with pytest.raises(KafkaUnavailableError) as caught:
        TopicReader(secured | changed, "any", timeout=NEVER_SECONDS).describe()
    assert time.monotonic() - started < LIMIT_SECONDS
    assert told in str(caught.value)
    assert WRONG_PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"sasl.password": WRONG_PASSWORD}, "Authentication failed: Invalid username or password"),
        ({"ssl.ca.location": ""}, "verify that ssl.ca.location is correctly configured"),
    ],
)
def test_a_login_that_is_refused_to_a_producer_is_told_before_the_time_is_over(
    secured: dict[str, str], changed: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer, "TIMEOUT_SECONDS", NEVER_SECONDS)
    started = time.monotonic()
    with pytest.raises(KafkaError, match=r"topic any could not be created at .*KAFKA_CONFIG_\*") as caught:
        producer.create_topic(secured | changed, "any", 1)
    assert time.monotonic() - started < LIMIT_SECONDS
    assert told in str(caught.value)
    assert WRONG_PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"ssl.ca.location": "/no/such/file.pem"}, "ssl.ca.location failed"),
        ({"sasl.nonsense": "x"}, 'No such configuration property: "sasl.nonsense"'),
    ],
)
def test_a_setting_that_the_client_does_not_take_is_named(
    secured: dict[str, str], changed: dict[str, str], told: str
) -> None:
    with pytest.raises(ConfigurationError, match="KAFKA_CONFIG_") as caught:
        TopicReader(secured | changed, "any").describe()
    assert told in str(caught.value)
