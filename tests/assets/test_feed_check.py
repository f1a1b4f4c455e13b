"""The check of the feeds: green while they are well, and for each way in which one is not, a text that says so."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from aqi_dagster.assets.feed_check import NO_FEED, judged
from aqi_dagster.automation import watched_feeds
from aqi_dagster.definitions import defs
from aqi_dagster.polling.memory import memory_file, opened_memory
from aqi_dagster.resources.feeds import FeedsResource
from tests.support.feeds import BEGIN, Feeding, StandingClock, feeding
from tests.support.purpleair_server import Device, Fault, PurpleAirServer, purpleair_server
from tests.support.topics import Topic


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def server(clock: StandingClock) -> Iterator[PurpleAirServer]:
    with purpleair_server(Device(30_001), Device(30_002, 45.6), now=clock.time) as server:
        yield server


@pytest.fixture
def fed(server: PurpleAirServer, topic: Topic, tmp_path: Path, clock: StandingClock) -> Iterator[Feeding]:
    """A feed that has polled three times."""
    with feeding(server, topic, tmp_path, clock) as mine:
        mine.poll(3)
        yield mine


@pytest.fixture
def feeds(tmp_path: Path) -> FeedsResource:
    return FeedsResource(data_dir=str(tmp_path), named=["purpleair"])


def test_a_feed_that_is_well_passes_with_its_numbers(
    fed: Feeding, feeds: FeedsResource, clock: StandingClock, server: PurpleAirServer
) -> None:
    result = judged(feeds, clock.time())
    assert result.passed
    points = fed.memory.spent("2022-07-18")
    assert points >= sum(server.points.values())
    assert result.description == (
        f"purpleair: 2 sensors, newest reading 2022-07-18 00:18 UTC, {points} of 150,000 points today"
    )
    assert result.metadata["purpleair_sensors"].value == 2
    assert result.metadata["purpleair_points_today"].value == points


def test_a_sensor_that_fell_silent_is_named(
    fed: Feeding, feeds: FeedsResource, clock: StandingClock, server: PurpleAirServer
) -> None:
    server.devices[30_002].silent = (clock.time(), clock.time() + 86_400)
    fed.poll(8)
    result = judged(feeds, clock.time())
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.WARN
    assert result.description == "purpleair: silent for an hour: 45.6, -122.6 #30002."


def test_answers_that_stay_away_are_told_with_the_reason(
    fed: Feeding, feeds: FeedsResource, clock: StandingClock, server: PurpleAirServer
) -> None:
    for _ in range(4):
        server.faults = [Fault(503)] * 3
        fed.poll()
    description = judged(feeds, clock.time()).description or ""
    assert "no answer since 2022-07-18 00:20 UTC" in description
    assert "HTTP 503" in description


def test_messages_that_wait_for_kafka_are_told(
    server: PurpleAirServer, topic: Topic, tmp_path: Path, clock: StandingClock, feeds: FeedsResource, unused_port: int
) -> None:
    away = Topic(topic.name, f"127.0.0.1:{unused_port}")
    with feeding(server, away, tmp_path, clock, broker_timeout=0.1) as mine:
        mine.poll(4)
        description = judged(feeds, clock.time()).description
    assert description == "purpleair: 8 messages wait for Kafka since its beginning."


def test_a_feed_whose_process_is_gone_is_told(fed: Feeding, tmp_path: Path, clock: StandingClock) -> None:
    local = FeedsResource(data_dir=str(tmp_path), named=["purpleair", "local"])
    assert judged(local, clock.time()).description == "local: AQI_FEED names it, but it never ran."
    with opened_memory(tmp_path, "local"):
        pass
    description = judged(local, clock.time()).description or ""
    assert "local: no process of it runs; local: no answer since its beginning" in description


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, feeds: FeedsResource) -> None:
    path = memory_file(tmp_path, "purpleair")
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    assert "cannot be read" in (judged(feeds, BEGIN).description or "")


def test_without_a_feed_nothing_is_reported(tmp_path: Path) -> None:
    nobody = FeedsResource(data_dir=str(tmp_path))
    assert judged(nobody, BEGIN).passed
    with dg.build_sensor_context() as context:
        skipped = watched_feeds(context, feeds=nobody)
    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message == NO_FEED


def test_the_sensor_reports_each_change_without_a_run(
    feeds: FeedsResource, instance: dg.DagsterInstance, fed: Feeding
) -> None:
    with dg.build_sensor_context(instance) as context:
        reported = watched_feeds(context, feeds=feeds)
    assert isinstance(reported, dg.SensorResult)
    (evaluation,) = reported.asset_events
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    # By the machine's clock the feed of this test is years old.
    assert not evaluation.passed
    assert "no answer since 2022-07-18" in (evaluation.description or "")
    with dg.build_sensor_context(instance, cursor=reported.cursor) as context:
        assert isinstance(watched_feeds(context, feeds=feeds), dg.SkipReason)
    instance.report_runless_asset_event(evaluation)
    keys = defs().resolve_asset_graph().asset_check_keys
    assert evaluation.asset_check_key in keys
    (record,) = instance.event_log_storage.get_asset_check_execution_history(evaluation.asset_check_key, limit=5)
    assert record.status.value == "FAILED"
