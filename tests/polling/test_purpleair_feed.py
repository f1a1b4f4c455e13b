"""The feed of PurpleAir's API, against a real server: each reading once, whatever is answered."""

from pathlib import Path

import pytest

from aqi_dagster.errors import FeedError, PurpleAirRefusedError
from aqi_dagster.feeds.context import Context
from aqi_dagster.message_fields import PM25_FIELD, TIME_FIELD, FieldNames
from aqi_dagster.polling.memory import opened_memory
from aqi_dagster.polling.purpleair_feed import Options
from aqi_dagster.polling.selections import group, indices
from tests.support.feeds import BEGIN, StandingClock, feeding, sent, values
from tests.support.purpleair_server import KEY, Device, Fault, purpleair_server
from tests.support.topics import Topic

DAY = BEGIN // 86_400


def devices(count: int = 3) -> list[Device]:
    return [Device(30_001 + number, 45.5 + number / 100) for number in range(count)]


def test_each_reading_is_sent_once_with_the_time_at_which_it_was_measured(topic: Topic, tmp_path: Path) -> None:
    clock = StandingClock()
    with purpleair_server(*devices(), now=clock.time) as server, feeding(server, topic, tmp_path, clock) as mine:
        mine.poll(5)
        assert set(server.keys) == {KEY}
        assert sent(topic) == server.served
        assert set(server.served.values()) == {1}
        assert len(server.served) == 15
        moment = BEGIN - (BEGIN - 30_001 % 120) % 120
        assert min(server.served) == (30_001, moment)
        first = min(values(topic), key=lambda value: (value["sensor_index"], value["created_at"]))
    assert first["PM2.5_CF1_ug/m3"] == str(Device(30_001).cell("pm2.5_cf_1_a", moment))
    assert first["PM2.5_CF1_B_ug/m3"] == str(Device(30_001).cell("pm2.5_cf_1_b", moment))
    assert (first["sensor_name"], first["location_type"], first["Humidity_%"]) == ("Sensor 30001", "0", "40")


def test_a_sensor_that_is_offline_costs_nothing_and_is_not_sent_again(topic: Topic, tmp_path: Path) -> None:
    clock = StandingClock()
    off = Device(30_009, 45.9, silent=(BEGIN + 700, BEGIN + 6_000))
    with purpleair_server(*devices(1), off, now=clock.time) as server, feeding(server, topic, tmp_path, clock) as mine:
        mine.poll(6)
        assert sent(topic) == server.served
        assert sum(index == 30_009 for index, _ in server.served) == 3
        # Where both are, then three polls with two rows and three with one.
        assert server.points[DAY] == 5 + 2 * 4 + 3 * (5 + 2 * 6) + 3 * (5 + 6)


@pytest.mark.parametrize("fault", [Fault(500), Fault(503), Fault(429, "RateLimitExceededError", {"Retry-After": "7"})])
def test_passing_errors_are_asked_again(topic: Topic, tmp_path: Path, fault: Fault) -> None:
    clock = StandingClock()
    with purpleair_server(*devices(), now=clock.time) as server, feeding(server, topic, tmp_path, clock) as mine:
        server.faults = [fault, None, fault, fault]
        begun = clock.waited
        mine.feed.poll()
        assert len(server.requests) == 5
        if fault.status == 429:
            assert clock.waited - begun == 21
        mine.delivery.deliver(clock.time())
        assert sent(topic) == server.served
        assert len(server.served) == 3


@pytest.mark.parametrize(
    ("status", "error", "advice"),
    [
        (402, "PaymentRequiredError", "no points left"),
        (403, "ApiKeyDisabledError", "READ key"),
        (404, "", "no such sensor"),
    ],
)
def test_a_refusal_ends_the_feed_with_what_to_do(
    topic: Topic, tmp_path: Path, status: int, error: str, advice: str
) -> None:
    clock = StandingClock()
    with purpleair_server(*devices(), now=clock.time) as server, feeding(server, topic, tmp_path, clock) as mine:
        mine.poll()
        server.faults = [Fault(status, error)]
        with pytest.raises(PurpleAirRefusedError, match=advice) as raised:
            mine.feed.poll()
        assert KEY not in str(raised.value)
        assert error in str(raised.value)


def test_a_server_that_says_nothing_holds_up_nothing_for_ever(topic: Topic, tmp_path: Path) -> None:
    clock = StandingClock()
    with purpleair_server(*devices(), now=clock.time) as server:
        with feeding(server, topic, tmp_path, clock, timeout=0.2) as mine:
            server.faults = [Fault(silence=0.6)]
            mine.feed.poll()
        with feeding(server, topic, tmp_path, clock) as mine:
            mine.poll()
        assert sent(topic).keys() == server.served.keys()


def test_brokers_that_are_away_get_everything_when_they_are_back(
    topic: Topic, tmp_path: Path, unused_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    clock = StandingClock()
    away = Topic(topic.name, f"127.0.0.1:{unused_port}")
    with purpleair_server(*devices(), now=clock.time) as server:
        with feeding(server, away, tmp_path, clock, broker_timeout=0.2) as mine:
            mine.poll(3)
        with feeding(server, topic, tmp_path, clock) as mine:
            mine.poll()
        assert sent(topic) == server.served
        assert len(server.served) == 12
    assert sum("Kafka" in record.getMessage() for record in caplog.records if record.name.endswith("told_once")) == 1


def test_a_long_wait_that_is_asked_for_is_obeyed(topic: Topic, tmp_path: Path) -> None:
    clock = StandingClock()
    with purpleair_server(*devices(), now=clock.time) as server, feeding(server, topic, tmp_path, clock) as mine:
        mine.poll()
        server.faults = [Fault(429, "RateLimitExceededError", {"Retry-After": "3600"})]
        asked = len(server.requests)
        assert mine.feed.poll() == 3_600
        assert len(server.requests) == asked + 1


def spoiled(text: str) -> str:
    return text.replace('"data": [[', '"data": [[30001], [7, 1, 2, 3, 4, 5, 6, 7, 8], "row", [', 1)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(spoil=lambda text: "<html>Back soon</html>"),
        Fault(spoil=lambda text: text[: len(text) // 2]),
        Fault(cut=40),
        Fault(spoil=lambda text: "{}"),
        Fault(spoil=lambda text: text.replace("last_seen", "first_seen")),
        Fault(spoil=lambda text: text.replace("humidity_a", "last_seen")),
        Fault(spoil=lambda text: "[" * 100_000),
        Fault(spoil=lambda text: "\udcff".encode("utf-8", "surrogateescape").decode("latin-1")),
    ],
    ids=["page", "cut off", "half", "nothing", "other field", "field twice", "deep", "no text"],
)
def test_an_answer_that_is_none_is_asked_for_again_and_invents_nothing(
    topic: Topic, tmp_path: Path, fault: Fault
) -> None:
    clock = StandingClock()
    with purpleair_server(*devices(), now=clock.time) as server, feeding(server, topic, tmp_path, clock) as mine:
        server.faults = [None, fault, None, fault]
        mine.poll(2)
        assert len(server.requests) == 5
        assert sent(topic) == server.served
        assert len(server.served) == 6


def test_rows_that_tell_nothing_are_left_out_and_told_once(
    topic: Topic, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = StandingClock()
    nowhere = Device(30_050, None, None)
    with (
        purpleair_server(*devices(), nowhere, Device(30_051, 0, 0), now=clock.time) as server,
        feeding(server, topic, tmp_path, clock, selections=indices("30001,30002,30003,30050,30051")) as mine,
    ):
        for _ in range(6):
            server.faults = [Fault(spoil=spoiled)] if len(server.requests) else [None, Fault(spoil=spoiled)]
            mine.poll()
        assert len(sent(topic)) == 18
    lines = [record.getMessage() for record in caplog.records if "Left out" in record.getMessage()]
    assert sorted(lines) == [
        "Left out, from now on without a word: 30050, 30051: PurpleAir gives no position for it; a list of sensors "
        "(--sensors) can.",
        "Left out, from now on without a word: rows of PurpleAir's answers: not as many values as there are fields, or "
        "no sensor_index.",
    ]


def test_a_time_in_the_future_is_no_reading_and_hides_none(topic: Topic, tmp_path: Path) -> None:
    clock = StandingClock()
    with purpleair_server(*devices(1), now=clock.time) as server, feeding(server, topic, tmp_path, clock) as mine:
        seen = server.devices[30_001].last_seen(clock.time())
        server.faults = [None, Fault(spoil=lambda text: text.replace(str(seen), str(seen + 86_400)))]
        mine.poll(3)
        assert sent(topic) == server.served
        assert len(server.served) == 2


@pytest.mark.parametrize("wrong", [-40_000_000, -3_600, 7_200, 100_000_000])
def test_a_clock_that_is_wrong_or_jumps_changes_no_reading(topic: Topic, tmp_path: Path, wrong: float) -> None:
    clock = StandingClock()
    with purpleair_server(*devices(), now=clock.monotonic) as server:
        with feeding(server, topic, tmp_path, clock) as mine:
            mine.poll(2)
            clock.wrong = wrong
            mine.poll(2)
        with feeding(server, topic, tmp_path, clock) as mine:
            mine.poll(2)
            clock.wrong = 0
            mine.poll(2)
        assert sent(topic) == server.served
        assert set(server.served.values()) == {1}
        assert len(server.served) == 24


def test_indoor_sensors_only_on_request(topic: Topic, tmp_path: Path) -> None:
    clock = StandingClock()
    inside = Device(30_009, 45.9, location_type=1)
    with purpleair_server(*devices(1), inside, now=clock.time) as server:
        with feeding(server, topic, tmp_path / "out", clock) as mine:
            mine.poll()
            assert {index for index, _ in sent(topic)} == {30_001}
        with feeding(server, topic, tmp_path / "in", clock, Options(indoors=True)) as mine:
            mine.poll()
            assert {index for index, _ in sent(topic)} == {30_001, 30_009}


def test_a_group_and_the_same_sensor_in_two_selections(topic: Topic, tmp_path: Path) -> None:
    clock = StandingClock()
    selections = [group("77"), *indices("30001,30002")]
    with (
        purpleair_server(*devices(), now=clock.time) as server,
        feeding(server, topic, tmp_path, clock, selections=selections) as mine,
    ):
        mine.poll(2)
        assert server.requests[0][0] == "/groups/77/members"
        assert set(sent(topic).values()) == {1}
        assert sent(topic).keys() == server.served.keys()


def test_a_sensor_that_is_new_in_the_box_is_found(topic: Topic, tmp_path: Path) -> None:
    clock = StandingClock()
    with purpleair_server(*devices(1), now=clock.time) as server, feeding(server, topic, tmp_path, clock) as mine:
        mine.poll()
        server.devices[30_002] = Device(30_002, 45.7)
        mine.poll()
        assert sent(topic) == server.served
        assert len(server.served) == 3
        before = len(server.requests)
        mine.poll(3)
        assert len(server.requests) == before + 3


def test_a_list_of_sensors_knows_better_where_they_are(topic: Topic, tmp_path: Path) -> None:
    clock = StandingClock()
    context = Context()
    (tmp_path / "sensors.csv").write_text("index,latitude,longitude,name\n30001,45.1234,-122.5,Mine\n")
    context.sensors.add(tmp_path / "sensors.csv")
    with (
        purpleair_server(Device(30_001, None), now=clock.time) as server,
        feeding(server, topic, tmp_path, clock, selections=indices("30001"), context=context) as mine,
    ):
        mine.poll()
        assert [value["sensor_name"] for value in values(topic)] == ["Mine"]


def test_fields_have_the_names_of_the_topic(topic: Topic, tmp_path: Path) -> None:
    clock = StandingClock()
    context = Context(names=FieldNames({TIME_FIELD: "ts", PM25_FIELD: "pm"}))
    with (
        purpleair_server(*devices(1), now=clock.time) as server,
        feeding(server, topic, tmp_path, clock, context=context) as mine,
    ):
        mine.poll()
    (value,) = values(topic)
    assert {"ts", "pm"} <= value.keys()
    assert not {TIME_FIELD, PM25_FIELD} & value.keys()


def test_what_was_not_noted_is_asked_again_at_once_and_what_was_is_not(topic: Topic, tmp_path: Path) -> None:
    clock = StandingClock()
    with purpleair_server(*devices(), now=clock.time) as server:
        with feeding(server, topic, tmp_path, clock) as mine:
            mine.feed.poll()
        with feeding(server, topic, tmp_path, clock) as mine:
            begun = clock.waited
            mine.feed.poll()
            assert clock.waited - begun == 120
            mine.memory.note("unanswered", 1)
            begun = clock.waited
            mine.feed.poll()
            assert clock.waited == begun


def test_a_memory_that_is_damaged_is_begun_anew(topic: Topic, tmp_path: Path) -> None:
    clock = StandingClock()
    with purpleair_server(*devices(), now=clock.time) as server:
        with feeding(server, topic, tmp_path, clock) as mine:
            mine.poll()
        file = tmp_path / "feeds" / "purpleair.sqlite"
        file.write_bytes(b"no database at all, but longer than a header" * 100)
        with feeding(server, topic, tmp_path, clock) as mine:
            mine.poll()
        assert sent(topic).keys() == server.served.keys()
    assert file.with_suffix(".broken").exists()


def test_two_feeds_of_a_kind_exclude_each_other(tmp_path: Path) -> None:
    with opened_memory(tmp_path, "purpleair"):
        with pytest.raises(FeedError, match="Another feed of this kind"), opened_memory(tmp_path, "purpleair"):
            pass
        with opened_memory(tmp_path, "local"):
            pass
