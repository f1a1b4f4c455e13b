"""What may happen to a topic as a whole on Apache Kafka: empty, grown, deleted, made again."""

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]  # not in its __all__
from duckdb import DuckDBPyConnection

from aqi_dagster.errors import TopicMissingError, TopicRecreatedError
from aqi_dagster.pipeline.readings.pull import PullPolicy, PullReport, pull
from aqi_dagster.pipeline.reporting.status import partition_status
from tests.support.kafka_topics import await_partitions, kept, meanwhile, readings, recreate, send_in_batches
from tests.support.tables import rows
from tests.support.topics import Topic
from tests.support.waiting import LIMIT_SECONDS

POLICY = PullPolicy()
REREAD = PullPolicy(reread_recreated_topic=True)


def test_an_empty_topic_is_no_error_and_is_read_once_it_has_messages(
    topic: Topic, connection: DuckDBPyConnection
) -> None:
    assert pull(connection, topic.reader(), POLICY) == PullReport(0, 0, 0, {0: 0, 1: 0, 2: 0, 3: 0})
    places = topic.send(readings(40))
    assert pull(connection, topic.reader(), POLICY).accepted == 40
    assert kept(connection) == sorted(places)


@pytest.mark.fault("partitions added")
def test_partitions_that_were_added_are_counted_as_lag_and_read_from_their_beginning(
    topic: Topic, connection: DuckDBPyConnection
) -> None:
    places = topic.send(readings(40))
    pull(connection, topic.reader(), POLICY)
    admin = AdminClient({"bootstrap.servers": topic.servers})
    admin.create_partitions([NewPartitions(topic.name, 6)])[topic.name].result(LIMIT_SECONDS)
    await_partitions(topic, 6)
    places += topic.send(readings(7, first=40), partition=5) + topic.send(readings(3, first=47), partition=1)
    partitions, trouble = partition_status(connection, topic.reader())
    assert {place.partition: (place.next_offset, place.lag) for place in partitions} == {
        **{0: (10, 0), 1: (10, 3), 2: (10, 0), 3: (10, 0)},
        **{4: (0, 0), 5: (0, 7)},
    }
    assert trouble is None
    report = pull(connection, topic.reader(), POLICY)
    assert (report.accepted, report.next_offsets) == (10, {0: 10, 1: 13, 2: 10, 3: 10, 4: 0, 5: 7})
    assert kept(connection) == sorted(places)


@pytest.mark.fault("topic made again")
def test_a_topic_that_was_made_again_is_an_error_and_reread_on_request(
    topic: Topic, connection: DuckDBPyConnection
) -> None:
    topic.send(readings(80))
    pull(connection, topic.reader(), POLICY)
    recreate(topic)
    topic.send(readings(120))
    with pytest.raises(TopicRecreatedError, match="KAFKA_ON_RECREATED_TOPIC=reread"):
        pull(connection, topic.reader(), POLICY)
    partitions, trouble = partition_status(connection, topic.reader())
    assert [place.lag for place in partitions] == [None] * 4
    assert trouble is not None
    assert "it was deleted and made again" in trouble
    report = pull(connection, topic.reader(), REREAD)
    assert (report.accepted, report.repeated) == (120, 80)
    assert rows(connection, "SELECT count(*), count(DISTINCT pm25_cf1) FROM readings WHERE NOT repeated") == [
        (120, 120)
    ]
    assert pull(connection, topic.reader(), POLICY).accepted == 0


@pytest.mark.fault("topic made again in mid-pull")
def test_a_topic_that_is_made_again_in_mid_pull_is_not_mixed_with_the_one_before(
    topic: Topic, connection: DuckDBPyConnection
) -> None:
    def replace() -> None:
        recreate(topic)
        send_in_batches(topic, readings(600, first=1000))

    places = send_in_batches(topic, readings(400))
    with pytest.raises(TopicRecreatedError, match="was deleted and made again while it was read"):
        pull(connection, meanwhile(topic, replace), POLICY)
    before = kept(connection)
    assert before == places[: len(before)]
    assert 0 < len(before) < 400
    assert rows(connection, "SELECT count(*) FROM readings WHERE pm25_cf1 >= 1000") == [(0,)]
    assert pull(connection, topic.reader(), REREAD).accepted == 600
    assert rows(connection, "SELECT count(*) FROM readings WHERE NOT repeated") == [(len(before) + 600,)]


@pytest.mark.fault("topic deleted in mid-pull")
def test_a_topic_that_is_deleted_in_mid_pull_is_named_and_what_was_read_is_kept(
    topic: Topic, connection: DuckDBPyConnection
) -> None:
    def delete() -> None:
        topic.delete()
        await_partitions(topic, 0)

    places = send_in_batches(topic, readings(400))
    with pytest.raises(TopicMissingError, match=f"has no topic '{topic.name}'"):
        pull(connection, meanwhile(topic, delete, timeout_afterwards=5.0), POLICY)
    before = kept(connection)
    assert before == places[: len(before)]
    assert 0 < len(before) < 400
