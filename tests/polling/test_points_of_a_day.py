"""What a day of PurpleAir's API costs: never more points than it may."""

from pathlib import Path

from aqi_dagster.polling.purpleair_feed import Options
from tests.support.feeds import BEGIN, StandingClock, feeding, sent
from tests.support.purpleair_server import Device, Fault, purpleair_server
from tests.support.topics import Topic

DAY = BEGIN // 86_400


def devices(count: int = 3) -> list[Device]:
    return [Device(30_001 + number, 45.5 + number / 100) for number in range(count)]


def test_a_wrong_clock_opens_no_second_budget(topic: Topic, tmp_path: Path) -> None:
    clock = StandingClock()
    options = Options(points_a_day=800, interval=120)
    with purpleair_server(*devices(), now=clock.monotonic) as server:
        for wrong in (0, 86_000, 0, 86_400, -3_600, 80_000, 500_000):
            clock.wrong = wrong
            with feeding(server, topic, tmp_path, clock, options) as mine:
                mine.poll(4)
            clock.seconds = min(clock.seconds, BEGIN + 80_000)
        assert server.points[DAY] <= 800


def test_a_day_costs_no_more_than_it_may_and_the_next_one_goes_on(topic: Topic, tmp_path: Path) -> None:
    clock = StandingClock()
    options = Options(points_a_day=2_300, interval=120)
    with (
        purpleair_server(*devices(10), now=clock.time) as server,
        feeding(server, topic, tmp_path, clock, options) as mine,
    ):
        assert mine.feed.prepare()
        assert 2_900 < mine.feed.interval < 3_600
        while clock.time() < BEGIN + 3 * 86_400:
            server.faults = [Fault(500), Fault(500)]
            mine.poll()
        assert sent(topic) == server.served
        spent = [server.points[DAY + day] for day in range(3)]
    assert all(1_000 < points <= 2_300 for points in spent)


def test_sensors_that_become_too_many_are_asked_every_hour_within_the_points(topic: Topic, tmp_path: Path) -> None:
    clock = StandingClock()
    options = Options(points_a_day=3_000)
    with (
        purpleair_server(*devices(3), now=clock.time) as server,
        feeding(server, topic, tmp_path, clock, options) as mine,
    ):
        mine.poll(2)
        server.devices.update({device.index: device for device in devices(40)})
        mine.poll(8)
        assert mine.feed.interval == 3_600
        assert sent(topic).keys() == server.served.keys()
        assert server.points[DAY] <= 3_000
