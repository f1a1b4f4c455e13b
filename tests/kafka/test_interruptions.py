"""Apache Kafka goes away while the pipeline reads: the pull goes on or says so, and no message is lost or doubled."""

import shutil
from collections.abc import Mapping

import pytest
from duckdb import DuckDBPyConnection

from aqi_dagster.errors import KafkaUnavailableError, OffsetBeyondEndError
from aqi_dagster.pipeline.readings.pull import PullPolicy, pull
from aqi_dagster.pipeline.reporting.status import partition_status
from aqi_dagster.pipeline.topic.reader import TopicReader
from tests.support.kafka_cluster import ApacheKafka
from tests.support.kafka_topics import kept, meanwhile, readings, send_in_batches
from tests.support.topics import Topic

POLICY = PullPolicy()


@pytest.mark.fault("restart in mid-pull")
def test_a_pull_goes_on_through_a_restart_of_the_broker(
    breakable: ApacheKafka, topic: Topic, connection: DuckDBPyConnection
) -> None:
    places = send_in_batches(topic, readings(600))
    assert pull(connection, meanwhile(topic, breakable.restart), POLICY).accepted == 600
    assert kept(connection) == sorted(places)
    assert pull(connection, topic.reader(), POLICY).accepted == 0


@pytest.mark.fault("power cut in mid-pull")
def test_a_pull_whose_broker_stays_away_says_so_and_the_next_one_goes_on_behind_it(
    breakable: ApacheKafka, topic: Topic, connection: DuckDBPyConnection
) -> None:
    places = send_in_batches(topic, readings(600))
    with pytest.raises(KafkaUnavailableError) as caught:
        pull(connection, meanwhile(topic, breakable.kill, timeout_afterwards=5.0), POLICY)
    assert f"The broker at {topic.servers} did not describe topic {topic.name!r} within 5 s" in str(caught.value)
    assert "Connection refused" in str(caught.value)
    before = kept(connection)
    assert before == places[: len(before)]
    assert 0 < len(before) < 600
    breakable.start()
    assert pull(connection, topic.reader(), POLICY).accepted == 600 - len(before)
    assert kept(connection) == sorted(places)


@pytest.mark.fault("power cut and lost disk")
def test_a_broker_that_dies_with_its_disk_costs_no_message_that_was_pulled(
    breakable: ApacheKafka, topic: Topic, connection: DuckDBPyConnection, caplog: pytest.LogCaptureFixture
) -> None:
    class Abandoned(TopicReader):
        """Its broker dies behind the last message, when only the consumer group is still to be told."""

        def commit(self, offsets: Mapping[int, int]) -> None:
            breakable.kill()
            super().commit(offsets)

    places = topic.send(readings(30), partition=2)
    assert pull(connection, topic.reader(Abandoned), POLICY).accepted == 30
    assert "offsets were not committed to the consumer group" in caplog.text
    shutil.rmtree(breakable.data / f"{topic.name}-2")
    breakable.start()
    assert topic.send(readings(1, first=30), partition=2) == [(2, 0)]
    beyond = "partition 2: the next offset to read is 30, but the log ends at 1"
    for policy in (POLICY, PullPolicy(skip_expired_offsets=True)):
        with pytest.raises(OffsetBeyondEndError, match=beyond):
            pull(connection, topic.reader(), policy)
    assert beyond in str(partition_status(connection, topic.reader())[1])
    assert kept(connection) == places


@pytest.mark.fault("no broker")
def test_offsets_that_no_broker_tells_are_an_error_of_the_pipelines_own(unused_port: int) -> None:
    reader = TopicReader({"bootstrap.servers": f"127.0.0.1:{unused_port}"}, "any", timeout=0.5)
    with reader.consumer() as consumer, pytest.raises(KafkaUnavailableError) as caught:
        reader.first_offsets(consumer, [3])
    assert f"127.0.0.1:{unused_port} did not tell the offsets of partition 3 of topic 'any'" in str(caught.value)
