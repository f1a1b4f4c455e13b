"""A feed of a test's own: its clock stands still unless it waits, and its messages go to a real topic."""

import json
from calendar import timegm
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from aqi_dagster.feeds.context import Context
from aqi_dagster.pipeline.decoding.definition import TIME_FORMAT
from aqi_dagster.polling.api import PurpleAir
from aqi_dagster.polling.clock import FeedClock
from aqi_dagster.polling.delivery import Delivery
from aqi_dagster.polling.memory import Memory, opened_memory
from aqi_dagster.polling.purpleair_feed import Options, PurpleAirFeed
from aqi_dagster.polling.selections import Selection, box
from tests.support.purpleair_server import KEY, PurpleAirServer
from tests.support.topics import Topic

BEGIN = timegm((2022, 7, 18, 0, 0, 0))
"""The first window, in seconds since 1970."""

OREGON = "46,-123,45,-122"


@dataclass
class StandingClock:
    """A clock that goes on by waiting alone."""

    seconds: float = BEGIN
    waited: float = 0.0
    wrong: float = 0.0
    """How far the machine's clock is ahead."""

    def time(self) -> float:
        return self.seconds + self.wrong

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.waited += seconds


@dataclass
class Feeding:
    """A feed with its memory, its clock and its delivery to a topic."""

    feed: PurpleAirFeed
    memory: Memory
    clock: StandingClock
    delivery: Delivery

    def poll(self, times: int = 1) -> None:
        """Poll and deliver, and wait as the feed would."""
        for _ in range(times):
            pause = self.feed.poll()
            self.delivery.deliver(self.feed.clock.now())
            self.clock.sleep(pause)


@contextmanager
def feeding(
    server: PurpleAirServer,
    topic: Topic,
    data_dir: Path,
    clock: StandingClock,
    options: Options | None = None,
    selections: Sequence[Selection] = (),
    context: Context | None = None,
    timeout: float = 30.0,
    broker_timeout: float = 20.0,
    elsewhere: Callable[[float], Collection[str]] = lambda now: (),
) -> Iterator[Feeding]:
    """A feed of the sensors in a box around Portland, in its own process's place."""
    with opened_memory(data_dir, "purpleair") as memory:
        feed_clock = FeedClock(clock, memory.number("latest"))
        feed = PurpleAirFeed(
            PurpleAir(KEY, server.url, timeout),
            selections or [box(OREGON)],
            memory,
            context or Context(),
            feed_clock,
            options or Options(),
            elsewhere,
        )
        config = {"bootstrap.servers": topic.servers, "linger.ms": "0"}
        delivery = Delivery(memory, config, topic.name, 4, feed.told, timeout=broker_timeout)
        yield Feeding(feed, memory, clock, delivery)


def sent(topic: Topic) -> Counter[tuple[int, int]]:
    """The readings in a topic: the number of the sensor and the time in seconds, and how often each came."""
    found: Counter[tuple[int, int]] = Counter()
    for value in values(topic):
        time = timegm(datetime.strptime(value["created_at"], TIME_FORMAT).timetuple())  # noqa: DTZ007 (UTC)
        found[int(value["sensor_index"]), time] += 1
    return found


def values(topic: Topic) -> list[dict[str, str]]:
    """The values of all messages in a topic."""
    reader = topic.reader()
    starts = dict.fromkeys(range(len(reader.describe().partitions)))
    with reader.consumer() as consumer:
        batches = [batch.messages for batch in reader.batches(consumer, starts)]
    return [json.loads(value) for table in batches for value in table["value"].to_pylist()]
