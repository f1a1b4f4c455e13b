"""Messages that Apache Kafka removed before they were read."""

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from duckdb import DuckDBPyConnection

from aqi_dagster.errors import OffsetsExpiredError
from aqi_dagster.pipeline.readings.pull import PullPolicy, pull
from aqi_dagster.pipeline.reporting.status import partition_status
from tests.support.kafka_topics import kept, meanwhile, readings, send_in_batches
from tests.support.tables import rows
from tests.support.topics import Topic
from tests.support.waiting import LIMIT_SECONDS

POLICY = PullPolicy()
SKIP = PullPolicy(skip_expired_offsets=True)

GAPS = "SELECT topic_generation, kafka_partition, first_offset, last_offset FROM offset_gaps ORDER BY ALL"


def expire(topic: Topic, partition: int, before: int) -> None:
    """Have the broker remove what it holds of ``partition`` before an offset, as retention does by time or size."""
    admin = AdminClient({"bootstrap.servers": topic.servers})
    place = TopicPartition(topic.name, partition, before)
    assert admin.delete_records([place])[place].result(LIMIT_SECONDS).low_watermark == before


@pytest.mark.fault("retention")
def test_removed_offsets_are_named_and_passed_over_only_on_request(
    topic: Topic, connection: DuckDBPyConnection
) -> None:
    places = topic.send(readings(40))
    pull(connection, topic.reader(), POLICY)
    places += topic.send(readings(200, first=40))
    expire(topic, 2, 30)
    expired = "partition 2: offsets 10 to 29 were removed by the broker's retention"
    with pytest.raises(OffsetsExpiredError, match=expired) as caught:
        pull(connection, topic.reader(), POLICY)
    assert "KAFKA_ON_EXPIRED_OFFSETS=skip" in str(caught.value)
    partitions, trouble = partition_status(connection, topic.reader())
    assert partitions[2].lag is None
    assert trouble is not None
    assert expired in trouble
    assert pull(connection, topic.reader(), SKIP).next_offsets == {0: 60, 1: 60, 2: 60, 3: 60}
    assert rows(connection, GAPS) == [(1, 2, 10, 29)]
    assert kept(connection) == sorted(place for place in places if place not in {(2, n) for n in range(10, 30)})
    assert pull(connection, topic.reader(), POLICY).accepted == 0
    assert [place.lag for place in partition_status(connection, topic.reader())[0]] == [0, 0, 0, 0]


@pytest.mark.fault("retention")
def test_a_partition_of_which_nothing_is_left_is_gone_on_with_at_its_end(
    topic: Topic, connection: DuckDBPyConnection
) -> None:
    topic.send(readings(10), partition=1)
    pull(connection, topic.reader(), POLICY)
    topic.send(readings(50, first=10), partition=1)
    expire(topic, 1, 60)
    with pytest.raises(OffsetsExpiredError, match="partition 1: offsets 10 to 59 were removed"):
        pull(connection, topic.reader(), POLICY)
    assert pull(connection, topic.reader(), SKIP).next_offsets[1] == 60
    assert rows(connection, GAPS) == [(1, 1, 10, 59)]
    (next_place,) = topic.send(readings(1, first=60), partition=1)
    pull(connection, topic.reader(), POLICY)
    assert kept(connection)[-1] == next_place == (1, 60)


@pytest.mark.fault("retention")
def test_what_was_removed_before_the_first_pull_is_no_gap(topic: Topic, connection: DuckDBPyConnection) -> None:
    topic.send(readings(50), partition=3)
    expire(topic, 3, 20)
    assert pull(connection, topic.reader(), POLICY).next_offsets[3] == 50
    assert kept(connection) == [(3, offset) for offset in range(20, 50)]
    assert rows(connection, GAPS) == []


@pytest.mark.fault("retention in mid-pull")
def test_retention_that_overtakes_a_pull_is_named_from_where_the_store_stands(
    topic: Topic, connection: DuckDBPyConnection
) -> None:
    places = send_in_batches(topic, readings(600))
    with pytest.raises(OffsetsExpiredError) as caught:
        pull(connection, meanwhile(topic, lambda: expire(topic, 0, 500)), POLICY)
    before = kept(connection)
    assert 0 < len(before) < 500
    assert f"offsets {len(before)} to 499 were removed" in str(caught.value)
    assert pull(connection, topic.reader(), SKIP).accepted == 100
    assert rows(connection, GAPS) == [(1, 0, len(before), 499)]
    assert kept(connection) == places[: len(before)] + places[500:]
