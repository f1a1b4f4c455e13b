"""Days of polling on a simulated clock, with faults of all kinds and a process that is killed again and again."""

import random
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from aqi_dagster.pipeline.readings.pull import PullPolicy, pull
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.polling.memory import Memory, memory_file
from tests.support.feeds import BEGIN, sent
from tests.support.places import TOP
from tests.support.purpleair_server import Device, Fault, PurpleAirServer, purpleair_server
from tests.support.simulated_feed import FileClock
from tests.support.topics import Topic
from tests.support.waiting import LIMIT_SECONDS

SENSORS = 12
POINTS_A_DAY = 20_000

FAULTS = [
    *[Fault(500), Fault(502), Fault(503), Fault(429, "RateLimitExceededError", {"Retry-After": "20"})],
    *[Fault(429, "RateLimitExceededError", {"Retry-After": "1500"}), Fault(cut=30)],
    *[Fault(spoil=lambda text: "<html>Back soon</html>"), Fault(spoil=lambda text: text[:-40])],
    *[
        Fault(spoil=lambda text: text.replace("data", "rows")),
        Fault(spoil=lambda text: text.replace("fields", "names")),
    ],
]
"""Each of them spoils its whole answer."""

WRONG = [0.0, 0.0, 0.0, -7_200.0, 3_000.0, -1e9, 2e8, 86_400.0, -90_000.0]
"""Seconds by which the machine's clock jumps."""


@dataclass
class Killer:
    """Kills the process before or shortly after the answers to some requests, and spoils other answers."""

    server: PurpleAirServer
    clock: FileClock
    kills: set[int]
    dice: random.Random
    process: subprocess.Popen[bytes] | None = None
    timers: list[threading.Timer] = field(default_factory=list)
    calm: int = 0

    def before_answer(self, number: int) -> None:
        """Decide what happens to a request."""
        if number in self.kills and self.process is not None:
            self.calm = 2
            if self.dice.random() < 0.4:
                # It dies while it waits: this answer reaches nobody.
                self.process.kill()
                self.process.wait()
                self.server.faults = [Fault(500)]
            else:
                self.timers.append(threading.Timer(self.dice.uniform(0, 0.02), self.process.kill))
                self.timers[-1].start()
                self.server.faults = []
            return
        if self.dice.random() < 0.1:
            self.clock.be_wrong_by(self.dice.choice(WRONG))
        # The answers after a death are good, so that sensors have nothing newer in them than in the one that was lost.
        spoiled = not self.calm and self.dice.random() < 0.25
        self.server.faults = [self.dice.choice(FAULTS)] if spoiled else []
        self.calm = max(self.calm - 1, 0)


def lived_through(topic: Topic, folder: Path, hours: int, kills: int, seed: int) -> None:
    """Run the feed to the end of its time, starting it again after each death, and look at what came of it."""
    clock = FileClock(folder / "clock", BEGIN + 9_000)
    end = clock.monotonic() + hours * 3_600
    devices = [Device(30_001 + number * 7, 45.1 + number / 50) for number in range(SENSORS)]
    devices[3].silent = (BEGIN + 15_000, BEGIN + 40_000)
    with purpleair_server(*devices, now=clock.monotonic) as server:
        polls = hours * 6
        when = {3 + (number + 1) * polls // (kills + 2) for number in range(kills)}
        killer = Killer(server, clock, when, random.Random(seed))  # noqa: S311
        server.meanwhile = killer.before_answer
        deaths = 0
        while True:
            killer.calm = 2
            process = killer.process = start(server, topic, folder, end)
            if process.wait(LIMIT_SECONDS) == 0:
                break
            deaths += 1
        assert deaths == kills
        found = sent(topic)
        assert found.keys() == server.served.keys()
        assert len(found) > polls * SENSORS // 2
        assert max(server.points.values()) <= POINTS_A_DAY
        memory = Memory(memory_file(folder / "data", "purpleair"))
        noted = sum(points for _, points in memory.days())
        memory.close()
        assert noted >= sum(server.points.values())
    store = Store(folder / "store", lock_timeout=LIMIT_SECONDS)
    with store.exclusive() as writer:
        pull(writer, topic.reader(), PullPolicy())
        rows = writer.execute("SELECT count(*) FILTER (NOT repeated), count(*) FROM readings").fetchall()
    assert rows == [(len(found), found.total())]


def start(server: PurpleAirServer, topic: Topic, folder: Path, end: float) -> subprocess.Popen[bytes]:
    arguments = [server.url, topic.servers, topic.name, folder / "data", folder / "clock", end, POINTS_A_DAY]
    return subprocess.Popen([sys.executable, "-m", "tests.support.simulated_feed", *map(str, arguments)], cwd=TOP)


def test_a_feed_that_is_killed_among_faults_sends_each_reading_and_it_counts_once(topic: Topic, tmp_path: Path) -> None:
    lived_through(topic, tmp_path, hours=3, kills=2, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
def test_two_days_with_faults_of_all_kinds_and_ten_kills(topic: Topic, tmp_path: Path, seed: int) -> None:
    lived_through(topic, tmp_path, hours=48, kills=10, seed=seed)
