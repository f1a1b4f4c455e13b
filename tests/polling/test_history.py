"""Filling a range from PurpleAir's history: within the API's limits, once, and gone on with where it ended."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aqi_dagster.errors import FeedError
from aqi_dagster.feeds.context import Context
from aqi_dagster.feeds.sensor_list import Sensor
from aqi_dagster.polling.api import PurpleAir
from aqi_dagster.polling.clock import FeedClock
from aqi_dagster.polling.delivery import Delivery
from aqi_dagster.polling.history import DAY, History, history_span
from aqi_dagster.polling.memory import Memory, opened_memory
from aqi_dagster.polling.told_once import ToldOnce
from tests.support.feeds import BEGIN, StandingClock, sent
from tests.support.purpleair_server import KEY, Device, Fault, PurpleAirServer, purpleair_server
from tests.support.topics import Topic

SENSORS = [Sensor("45.5, -122.6", 30_001, "One", "0"), Sensor("45.6, -122.6", 30_002, "Two", "0")]

NOW = BEGIN + 200 * DAY


@contextmanager
def filling(
    server: PurpleAirServer, topic: Topic, data_dir: Path, clock: StandingClock
) -> Iterator[tuple[History, Delivery, Memory]]:
    with opened_memory(data_dir, "history") as memory:
        history = History(PurpleAir(KEY, server.url), SENSORS, memory, Context(), FeedClock(clock))
        yield history, Delivery(memory, {"bootstrap.servers": topic.servers}, topic.name, 4, ToldOnce()), memory


def test_a_range_is_filled_in_pieces_that_the_api_allows_and_in_order_of_time(topic: Topic, tmp_path: Path) -> None:
    clock = StandingClock(NOW)
    span = (BEGIN, BEGIN + 100 * DAY)
    with purpleair_server(Device(30_001), Device(30_002, 45.6), now=clock.time) as server:
        with filling(server, topic, tmp_path, clock) as (history, delivery, _):
            missing = history.missing(span, 60)
            server.faults = [None, Fault(429, "RateLimitExceededError", {"Retry-After": "9"}), Fault(500), Fault(cut=9)]
            assert history.fill_all(missing, delivery) == 2 * 100 * 24
            assert len(server.requests) == 5
            assert sum(piece.points for piece in missing) >= sum(server.points.values()) - 3 * 5 - missing[1].points
            assert history.missing(span, 60) == []
            assert history.problems == []
            first, *_ = history.missing((BEGIN - DAY, BEGIN + 101 * DAY), 60)
            assert (first.first, first.end) == (BEGIN - DAY, BEGIN)
        assert sent(topic) == server.served
        assert set(server.served.values()) == {1}


def test_a_range_that_was_broken_off_is_gone_on_with(topic: Topic, tmp_path: Path) -> None:
    clock = StandingClock(NOW)
    span = (BEGIN, BEGIN + 61 * DAY)
    with purpleair_server(Device(30_001), Device(30_002, 45.6), now=clock.time) as server:
        with filling(server, topic, tmp_path, clock) as (history, delivery, _):
            missing = history.missing(span, 10)
            assert len(missing) == 4
            server.faults = [None, None, *[Fault(503)] * 20]
            with pytest.raises(FeedError, match="the same command goes on"):
                history.fill_all(missing, delivery)
            server.faults = []
        with filling(server, topic, tmp_path, clock) as (history, delivery, _):
            assert history.missing(span, 10) == missing[2:]
            history.fill_all(history.missing(span, 10), delivery)
        assert sent(topic) == server.served
        assert len(server.served) == 2 * 61 * 144


def test_the_range_is_named_in_one_way() -> None:
    assert history_span("2022-07-18T00:00", None, "2022-07-18T01:05", NOW, 600) == (BEGIN, BEGIN + 3_600)
    assert history_span(None, 2, None, NOW + 59, 600) == (NOW - 2 * DAY, NOW)
    for first, days, last in [
        (None, None, None),
        ("2022-07-18", 2, None),
        ("soon", None, None),
        ("2022-07-18", None, "2022"),
    ]:
        with pytest.raises(FeedError):
            history_span(first, days, last, NOW, 600)
    with pytest.raises(FeedError, match="is empty"):
        history_span("2022-07-18", None, "2022-07-17", NOW, 600)
