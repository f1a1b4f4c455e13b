"""The feed of sensors on the local network, against real servers that say what such sensors say."""

import json
from calendar import timegm
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aqi_dagster.errors import FeedError
from aqi_dagster.feeds.context import Context
from aqi_dagster.polling.clock import MachineTime
from aqi_dagster.polling.delivery import Delivery
from aqi_dagster.polling.liveness import local_sensors
from aqi_dagster.polling.local_feed import LocalFeed, local_address
from aqi_dagster.polling.memory import opened_memory
from tests.support.feeds import BEGIN, StandingClock, feeding, sent, values
from tests.support.purpleair_server import Device, purpleair_server
from tests.support.text_server import text_server
from tests.support.topics import Topic


def says(clock: StandingClock, device: str = "1:2:3:4:5:6", **other: Any) -> str:
    """What a sensor says at a moment: its time goes on, its means are those of the last whole two minutes."""
    moment = datetime.fromtimestamp(clock.seconds, UTC)
    pm25 = 5 + int(clock.seconds // 120) % 40 / 4
    document = {
        **{"SensorId": device, "DateTime": f"{moment:%Y/%m/%dT%H:%M:%Sz}", "Geo": "PurpleAir-0102", "Id": 7},
        **{"lat": 45.5, "lon": -122.6, "place": "outside", "uptime": 600, "rssi": -60},
        **{"current_temp_f": 70, "current_humidity": 40, "pm1_0_cf_1": 3.0, "pm2_5_cf_1": pm25, "pm10_0_cf_1": 9.0},
        **{"pm2_5_cf_1_b": pm25 + 0.2, "pm2_5_atm": pm25, "p_0_3_um": 900.0},
    }
    return json.dumps(document | other)


@contextmanager
def polled(
    addresses: Sequence[str], topic: Topic, data_dir: Path, clock: StandingClock, context: Context | None = None
) -> Iterator[LocalFeed]:
    """A feed whose messages are in the topic at the end of the block."""
    with opened_memory(data_dir, "local") as memory:
        feed = LocalFeed(addresses, memory, context or Context(), MachineTime(clock), timeout=5.0)
        yield feed
        Delivery(memory, {"bootstrap.servers": topic.servers}, topic.name, 4, feed.told).deliver(clock.time())


def times(topic: Topic) -> list[int]:
    """The times of all messages as seconds from the beginning."""
    found = [datetime.strptime(value["created_at"], "%Y-%m-%d %H:%M:%S UTC") for value in values(topic)]  # noqa: DTZ007
    return sorted(timegm(moment.timetuple()) - BEGIN for moment in found)


def test_both_lasers_are_sent_with_the_sensors_own_time(topic: Topic, tmp_path: Path) -> None:
    clock = StandingClock()
    with text_server(lambda: says(clock)) as url, polled([url], topic, tmp_path, clock) as feed:
        for _ in range(3):
            clock.sleep(feed.poll())
    assert times(topic) == [0, 120, 240]
    value = values(topic)[0]
    assert (value["PM2.5_CF1_ug/m3"], value["PM2.5_CF1_B_ug/m3"]) == ("5.0", "5.2")
    assert value["location_type"] == "0"


def test_a_mean_that_was_sent_is_not_a_second_reading_however_often_it_is_asked_for(
    topic: Topic, tmp_path: Path
) -> None:
    clock = StandingClock()
    with text_server(lambda: says(clock)) as url:
        for _ in range(6):
            with polled([url, url], topic, tmp_path, clock) as feed:
                feed.poll()
            clock.sleep(40)
    assert times(topic) == [0, 120]


def test_one_that_is_away_holds_up_no_other_and_is_named_after_a_while(
    topic: Topic, tmp_path: Path, unused_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    clock = StandingClock()
    away = f"http://127.0.0.1:{unused_port}"
    with text_server(lambda: says(clock)) as url, polled([away, url], topic, tmp_path, clock) as feed:
        for _ in range(20):
            clock.sleep(feed.poll())
    assert len(times(topic)) == 20
    lines = [record.getMessage() for record in caplog.records if away in record.getMessage()]
    assert len(lines) == 1
    assert "nothing since 2022-07-18 00:00:00 UTC" in lines[0]


@pytest.mark.parametrize(
    "text",
    [
        *["<html>Log in</html>", "{}", says(StandingClock())[:80]],
        *[
            says(StandingClock(), DateTime="2000/01/01T00:00:10z"),
            says(StandingClock(), DateTime="2022/07/19T00:00:00z"),
        ],
        *[says(StandingClock(), pm2_5_cf_1=None), says(StandingClock(), lat=None), None],
    ],
    ids=["page", "nothing", "cut off", "clock not set", "future", "no laser", "no place", "silence"],
)
def test_what_is_no_reading_is_left_out_and_told_once(
    topic: Topic, tmp_path: Path, text: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    clock = StandingClock()
    with text_server(lambda: text) as url, polled([url], topic, tmp_path, clock) as feed:
        for _ in range(10):
            feed.poll()
            clock.sleep(100)
    assert values(topic) == []
    assert len([record for record in caplog.records if record.name.endswith("told_once")]) == 1


def test_two_devices_at_one_place_are_told_apart_by_the_list_or_left_out(topic: Topic, tmp_path: Path) -> None:
    clock = StandingClock()
    (tmp_path / "sensors.csv").write_text(
        "index,latitude,longitude,name,mac_address\n30001,45.5,-122.6,A,01:02:03:04:05:06\n30002,45.5,-122.6,B,2:2:3:4:5:6\n"
    )
    context = Context()
    context.sensors.add(tmp_path / "sensors.csv")
    with text_server(lambda: says(clock)) as one, text_server(lambda: says(clock, "2:2:3:4:5:6")) as other:
        with polled([one, other], topic, tmp_path / "without", clock) as feed:
            feed.poll()
        assert values(topic) == []
        with polled([one, other], topic, tmp_path / "with", clock, context) as feed:
            feed.poll()
        assert sorted(value["sensor_index"] for value in values(topic)) == ["30001", "30002"]


def test_a_sensor_in_both_feeds_is_the_local_ones(topic: Topic, tmp_path: Path) -> None:
    clock = StandingClock()
    (tmp_path / "sensors.csv").write_text(
        "index,latitude,longitude,name,mac_address\n30001,45.5,-122.6,A,1:2:3:4:5:6\n"
    )
    context = Context()
    context.sensors.add(tmp_path / "sensors.csv")
    with text_server(lambda: says(clock)) as url, polled([url], topic, tmp_path, clock, context) as feed:
        feed.poll()
    with purpleair_server(Device(30_001), Device(30_002, 45.6), now=clock.time) as server:
        elsewhere = local_sensors(tmp_path, clock.time())
        with feeding(server, topic, tmp_path, clock, elsewhere=lambda now: elsewhere) as mine:
            mine.poll()
        assert sent(topic).keys() == {(30_001, BEGIN), *(key for key in server.served if key[0] == 30_002)}
    assert local_sensors(tmp_path, clock.time() + 7_200) == set()


@pytest.mark.parametrize("text", ["", "ftp://sensor", "http://", "http://user:secret@sensor", "http://sensor:99999"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(FeedError, match="is no address of a sensor"):
        local_address(text)
