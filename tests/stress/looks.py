"""Kill looks at the open window, runs and senders, from an early warning to the all clear, on a simulated clock.

Three installations read one topic, to which readings come as time goes on. Two look at the open window, and one of them
is killed over and over; the third never looks. What Slack was told, and the tables of closed windows, must agree.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, cycle
from pathlib import Path
from random import Random
from typing import NamedTuple
from uuid import uuid4

import duckdb

from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.windows import WINDOW_LENGTH, window_key, window_start
from tests.stress.crashes import Installation, Outcome, assert_nothing_under_way, compare, rows_of
from tests.stress.doomed import ANSWERED, ASKING, COMMITTED, CONSUMING, JUDGED, PUBLISHING, QUEUING, TRANSACTION
from tests.support.messages import FIRST_WINDOW, RawMessage, message
from tests.support.slack_server import slack_server
from tests.support.tables import rows
from tests.support.topics import Topic

HOUR = timedelta(hours=1)

CADENCE = timedelta(minutes=20)

SENSORS = [f"45.{number}, -122" for number in range(1, 5)]

STUCK = SENSORS[3]

SMOKE = (51.0, 67.0)
"""Hours of the fire: from the fourth hour of one window to the eighth of the next."""

PUFF = (98.0, 99.0)
"""Hours of what is warned of, and is none by the end of its window."""

BREAKS = 78.0
"""From this hour on the sensor ``STUCK`` reads the same impossible value."""

TOLD = ["early", "ongoing", "all_clear", "early", "all_clear"]
"""What is told of now; the last is a withdrawal."""


class Step(NamedTuple):
    """A moment, in hours from the first window, at which one looks or else runs the windows that ended since."""

    hour: float
    looks: bool
    tells: bool = False


STEPS = [
    Step(48.2, looks=False),
    Step(50.0, looks=True),
    Step(53.25, looks=True, tells=True),
    Step(56.0, looks=True),
    Step(60.2, looks=False, tells=True),
    Step(66.5, looks=True, tells=True),
    Step(72.2, looks=False, tells=True),
    Step(73.0, looks=True),
    Step(77.0, looks=True, tells=True),
    Step(84.2, looks=False),
    Step(96.2, looks=False, tells=True),
    Step(99.25, looks=True, tells=True),
    Step(104.0, looks=True),
    Step(108.2, looks=False, tells=True),
]

FIRST = {
    "look": [(QUEUING, 2), (COMMITTED, 1), (JUDGED, 1), (CONSUMING, 1)],
    "materialize": [(QUEUING, 2)],
    "alert": [(ANSWERED, 1), (ASKING, 1)],
}
"""Where a command kills itself first that has something to tell, each place in every other step at the latest."""

THEN = {
    "look": [(COMMITTED, 2), (JUDGED, 2), (CONSUMING, 2), (TRANSACTION, 30), (PUBLISHING, 16)],
    "materialize": [(TRANSACTION, 60), (COMMITTED, 10), (PUBLISHING, 16), (CONSUMING, 1)],
    "alert": [(PUBLISHING, 16), (TRANSACTION, 4), (COMMITTED, 2)],
}
"""Where it kills itself after that, in turn, and at which passing by at the latest."""

KILLS = {"look": 3, "materialize": 2, "alert": 2}
"""Kills of each command of a step in `make stress`; of a sender only where there is something to tell."""

WATCHED = 1
"""Installations of `make stress`."""

FEW_KILLS = {"look": 1, "materialize": 1, "alert": 1}
"""Those of `make test-long`."""

_MOMENTS = "SELECT kind FROM slack_alerts WHERE as_of IS NOT NULL AND status <> 'superseded' ORDER BY alert_id"

_VERDICTS = """
    SELECT kind, region, window_start, subject, verdict, status
    FROM slack_alerts
    WHERE kind IN ('verdict', 'sensor', 'weekly')
"""

_UNKNOWN = "SELECT count(*) FROM slack_alerts WHERE status IN ('unknown', 'pending', 'refused', 'not_sent')"


def pm25(sensor: str, hour: float) -> float:
    """What a sensor reads (CF=1, ug/m3), so many hours after the first window began."""
    wave = 1 + (hour * 3 + SENSORS.index(sensor)) % 10 / 50
    if sensor == STUCK and hour >= BREAKS:
        return 5000.0
    smoky = any(begin <= hour < end for begin, end in (SMOKE, PUFF))
    return (400.0 if smoky else 8.0) * wave


def arrivals(begin: float, end: float) -> list[RawMessage]:
    """The messages of the hours from ``begin`` up to ``end``, in order of time."""
    slots = range(round(begin * HOUR / CADENCE), round(end * HOUR / CADENCE))
    hours = [slot * CADENCE / HOUR for slot in slots]
    return [message(sensor, FIRST_WINDOW + hour * HOUR, pm25(sensor, hour)) for hour in hours for sensor in SENSORS]


@dataclass(frozen=True)
class Watched:
    """What became of an installation that was killed while it looked; ``told`` are messages, in all and at most of one.

    ``of_looks`` compares it with one that was left in peace; ``closed_rows_that_differ`` with one that never looked.
    ``moments`` are the kinds of what it told of now, and ``left_open`` is how many alerts were not told in the end.
    """

    kills: Counter[tuple[str, str]]
    of_looks: Outcome
    closed_rows_that_differ: int
    moments: list[str]
    told: int
    most_of_one: int
    left_open: int

    @property
    def unharmed(self) -> bool:
        """Nothing was lost, nothing differs, nothing told again without cause, and all was told that there was."""
        nothing_amiss = (self.closed_rows_that_differ, self.left_open) == (0, 0)
        return self.of_looks.unharmed and nothing_amiss and self.moments == TOLD


def watch(folder: Path, broker: EmbeddedBroker, kills: dict[str, int], seed: int) -> Watched:
    """Kill an installation at each step, so many times each command, and compare what it comes to."""
    random = Random(seed)  # noqa: S311 (no secret)
    folder.mkdir(exist_ok=True)
    with _installations(folder, broker) as (topic, peaceful, killed, unwatched):
        sent = 0.0
        for number, step in enumerate(STEPS):
            topic.send(arrivals(sent, step.hour), partition=0)
            sent = step.hour
            for installation in (peaceful, killed, unwatched):
                installation.now = FIRST_WINDOW + step.hour * HOUR
            for command, arguments in _commands(step):
                started = time.monotonic()
                assert not peaceful.run(arguments)
                seconds = time.monotonic() - started
                if not step.looks:
                    assert not unwatched.run(arguments)
                worth_it = step.tells or command != "alert"
                killed.run_and_kill(
                    arguments, kills[command] if worth_it else 0, seconds, random, _places(command, step, number)
                )
        assert_nothing_under_way(killed)
        return _compare(peaceful, killed, unwatched)


@contextmanager
def _installations(
    folder: Path, broker: EmbeddedBroker
) -> Iterator[tuple[Topic, Installation, Installation, Installation]]:
    topic = Topic(f"looks-{uuid4()}", broker.bootstrap_servers)
    topic.create()
    with ExitStack() as servers:
        made = [
            Installation.make(folder / f"looks-{name}", topic, servers.enter_context(slack_server()))
            for name in ("peaceful", "killed", "unwatched")
        ]
        for installation in made:
            installation.settings["AQI_RULES"] = "network"
        peaceful, killed, unwatched = made
        yield topic, peaceful, killed, unwatched


def _commands(step: Step) -> list[tuple[str, Sequence[str]]]:
    """What is run at a step: a look, or the newest windows as the schedule runs them, and then a sender."""
    ended = window_start(FIRST_WINDOW + step.hour * HOUR) - WINDOW_LENGTH
    first = FIRST_WINDOW if step == STEPS[0] else ended - WINDOW_LENGTH
    run = ["materialize", "--from", window_key(first), "--to", window_key(ended)]
    return [("look", ["look"]) if step.looks else ("materialize", run), ("alert", ["alert"])]


def _places(command: str, step: Step, number: int) -> Iterator[tuple[str, int]]:
    first = FIRST[command][number % len(FIRST[command]) :] if step.tells else []
    then = cycle(THEN[command])
    for _ in range(number % len(THEN[command])):
        next(then)
    return chain(first[:1] if command == "alert" else first, then)


def _compare(peaceful: Installation, killed: Installation, unwatched: Installation) -> Watched:
    with duckdb.connect(str(killed.published), read_only=True) as connection:
        moments = [kind for (kind,) in rows(connection, _MOMENTS)]
        ((left_open,),) = rows(connection, _UNKNOWN)
    closed, undisturbed = _closed(killed.published), _closed(unwatched.published)
    differing = (closed - undisturbed) + (undisturbed - closed)
    print("\n".join(sorted(differing))[:3_000])
    told = Counter(killed.slack.texts)
    return Watched(
        kills=Counter((kill.command, kill.place) for kill in killed.kills),
        of_looks=compare(peaceful, killed),
        closed_rows_that_differ=differing.total(),
        moments=moments,
        told=told.total(),
        most_of_one=max(told.values()),
        left_open=left_open,
    )


def _closed(file: Path) -> Counter[str]:
    """All rows of closed windows, and what was told of them, as text."""
    found = Counter(
        {row: count for row, count in rows_of(file).items() if not row.startswith(("conditions:", "slack_alerts:"))}
    )
    with duckdb.connect(str(file), read_only=True) as connection:
        found.update(f"told: {row}" for row in rows(connection, _VERDICTS))
    return found
