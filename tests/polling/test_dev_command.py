"""Feeds of those who have no Kafka: nothing is lost although the embedded broker beside them forgets everything."""

import os
from pathlib import Path

import pytest

from aqi_dagster.commands.dev import KEPT_DAYS, kafka_of_feeds
from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.polling.supervisor import fed
from aqi_dagster.settings import Settings
from tests.support.feeds import sent
from tests.support.purpleair_server import KEY, Device, purpleair_server
from tests.support.topics import Topic
from tests.support.waiting import wait_for

FEED = ["purpleair", "--box", "46,-123,45,-122"]


def test_what_was_sent_is_sent_again_to_a_broker_that_has_forgotten_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("KAFKA_ON_RECREATED_TOPIC", "KAFKA_BOOTSTRAP_SERVERS"):
        # So that both are forgotten after the test, which sets them itself.
        monkeypatch.setenv(name, "reread")
    settings = Settings.model_validate({"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{unused_port}"})
    topic = Topic("sensor_data", settings.kafka_bootstrap_servers)
    told = []
    with purpleair_server(Device(30_001), Device(30_002, 45.6)) as server:
        monkeypatch.setenv("PURPLEAIR_API_KEY", KEY)
        monkeypatch.setenv("PURPLEAIR_API_URL", server.url)
        for _ in range(2):
            monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS")
            with kafka_of_feeds(settings, [FEED]) as feeds:
                assert feeds == [[*FEED, "--keep-days", str(KEPT_DAYS)]]
                assert os.environ["KAFKA_BOOTSTRAP_SERVERS"] == topic.servers
                with fed(feeds):
                    told.append(wait_for("readings", lambda: len(found := sent(topic)) == 2 and found))
        assert told[0].keys() == server.served.keys()
        assert told[1] == told[0]


def test_a_kafka_that_listens_where_one_does_by_default_is_taken(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.model_validate({"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers})
    with kafka_of_feeds(settings, [FEED]) as feeds:
        assert feeds == [FEED]
        assert "KAFKA_BOOTSTRAP_SERVERS" not in os.environ
