"""Kill the command line over and over, at random moments and at named places, and compare what is left in the end.

All installations read one topic. It first holds most of the readings; the windows are materialized and told. Then come
a whole sensor that was late, the newest windows, repetitions and messages that are no readings, and all windows are
materialized and told again. One installation is left in peace: it says what the tables and Slack must come to.
"""

import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count, cycle
from pathlib import Path
from random import Random
from uuid import uuid4

import dagster as dg
import duckdb

from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.pipeline.readings.accounting import unaccounted_messages
from aqi_dagster.windows import WINDOW_LENGTH, utc_now, window_key
from tests.stress.commands import run_command
from tests.stress.doomed import ANSWERED, ASKING, COMMITTED, CONSUMING, PUBLISHING, TRANSACTION, Doom
from tests.support.messages import FIRST_WINDOW, RawMessage, message
from tests.support.places import TOP
from tests.support.slack_server import Slack, slack_server
from tests.support.spoiled_messages import spoiled
from tests.support.tables import rows
from tests.support.topics import Topic

WALL_CLOCK = [
    *["ingested_at", "updated_at", "noted_at", "slack_alerts.created_at", "sent_at", "attempts"],
    *["conditions.as_of", "conditions.since", "slack_alerts.as_of", "slack_alerts.since"],
]
"""Columns that say where our own clock stood, or how often Slack was asked: they differ from run to run."""

PULLED = """
    SELECT topic_generation, kafka_partition, min(first_offset), max(next_offset), sum(messages)
    FROM pulled_offsets
    GROUP BY ALL
"""
"""What the transactions of all pulls came to together: where one ends and the next begins is a matter of chance."""

UNTOLD = """
    SELECT *
    FROM regional_windows ANTI JOIN slack_alerts USING (region, window_start, verdict)
    WHERE verdict = 'smoke' OR rules <> 'network'
"""
"""Verdicts without their alert; with the network rules a malfunction is told of its sensor."""

SENSORS = [f"45.{number}, -122" for number in range(6)]
LATE = 5
"""The sensor of which nothing comes in time."""

SPIKING = [0, 1, 2, LATE]
"""Sensors that are far above all others for an hour, every third window; ``LATE`` together with another one."""

WINDOWS = 8
IN_TIME = 6
"""Windows whose readings are there when the topic is first read."""

CADENCE = timedelta(minutes=10)
SPIKE = range(20, 26)

NAMED = {
    "materialize": [
        *[(COMMITTED, 6), (TRANSACTION, 40), (CONSUMING, 6)],  # while there is much to pull
        *[(PUBLISHING, 16), (TRANSACTION, 150), (COMMITTED, 30)],
    ],
    "alert": [(ANSWERED, 2), (ASKING, 2), (PUBLISHING, 16), (TRANSACTION, 4), (COMMITTED, 2)],
}
"""Where a command kills itself, in turn, and at which passing by at the latest."""

ATTEMPTS_PER_KILL = 5

INSTALLATIONS = 10
"""Of `make stress`."""

KILLS = {"materialize": 8, "alert": 7}
"""Kills of each command, which every installation of `make stress` and `make test-long` lives through twice."""


@dataclass(frozen=True)
class Kill:
    """A kill that came in time: of which command, where, and whether the process did it itself at a named place."""

    command: str
    place: str
    named: bool
    telling: str


@dataclass
class Installation:
    """A folder with everything that an installation keeps, the Slack that it tells, and what it lived through.

    Its clock says ``now`` when a command begins; if that is None, it is the machine's.
    """

    folder: Path
    settings: dict[str, str]
    slack: Slack
    kills: list[Kill] = field(default_factory=list)
    now: datetime | None = None
    _named: dict[str, Iterator[tuple[str, int]]] = field(
        default_factory=lambda: {command: cycle(places) for command, places in NAMED.items()}
    )

    @classmethod
    def make(cls, folder: Path, topic: Topic, slack: Slack) -> "Installation":
        """An installation that was never run, with Dagster's settings of this repository."""
        folder.mkdir()
        shutil.copy(TOP / "dagster.yaml", folder)
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": topic.servers,
            "KAFKA_TOPIC": topic.name,
            "KAFKA_CHUNK_MESSAGES": "100",
            "AQI_DATA_DIR": str(folder / "data"),
            "AQI_DIGEST_AFTER_HOURS": "87600",
            "DAGSTER_HOME": str(folder / "dagster"),
            "SLACK_WEBHOOK_URL": slack.url,
        }
        return cls(folder, settings, slack)

    @property
    def published(self) -> Path:
        """The published copy."""
        return self.folder / "data" / "aqi.duckdb"

    def run(self, arguments: Sequence[str], doom: Doom | None = None, killed_after: float | None = None) -> bool:
        """Run a command, which must succeed unless it is killed; True if it was."""
        clock_off = None if self.now is None else self.now - utc_now()
        ended = run_command(arguments, self.folder, self.settings, doom, killed_after, clock_off)
        if ended.status == 0:
            return False
        assert ended.was_killed, f"{arguments} ended with {ended.status}: {ended.told}"
        self.kills.append(Kill(arguments[0], ended.place, doom is not None, ended.telling))
        return True

    def run_and_kill(
        self,
        arguments: Sequence[str],
        kills: int,
        seconds: float,
        random: Random,
        places: Iterator[tuple[str, int]] | None = None,
    ) -> None:
        """Run a command and kill it ``kills`` times, then let it end; undisturbed it takes at most ``seconds``.

        Half of the kills are at named ``places``, in turn, each with the passing by at the latest, half at random
        moments. What is published is whole after each.
        """
        places = places or self._named[arguments[0]]
        named = [*random.sample([True, False] * kills, kills - 1), True] if kills else []
        for _ in range(ATTEMPTS_PER_KILL * kills):
            if not named:
                break
            doom, moment = None, None
            if named[-1]:
                place, latest = next(places)
                doom = Doom(place, random.randint(1, latest))
            else:
                # Rather late than early: half of its time a command only makes itself ready.
                moment = random.triangular(0, seconds, 0.8 * seconds)
            started = time.monotonic()
            if self.run(arguments, doom, moment):
                named.pop()
                assert_whole(self.published)
            else:  # it was too quick, or does not come by so often
                seconds = min(seconds, time.monotonic() - started)
        assert not named, f"{arguments} could be killed only {kills - len(named)} times"
        assert not self.run(arguments)

    def kill_at_each_step_of_publishing(self) -> None:
        """Kill a command that only publishes, at every step of that in turn; what is published stays whole."""
        steps = count(1)
        while self.run(["alert"], Doom(PUBLISHING, next(steps))):
            assert_whole(self.published)


def messages(random: Random) -> tuple[list[list[RawMessage]], list[list[RawMessage]]]:
    """What is in the topic at first, and what comes later, both by Kafka partition."""
    first: list[list[RawMessage]] = [[], [], [], []]
    later: list[list[RawMessage]] = [[], [], [], []]
    for number, sensor in enumerate(SENSORS):
        for window in range(WINDOWS):
            in_time = number != LATE and window < IN_TIME
            for slot in range(WINDOW_LENGTH // CADENCE):
                spikes = number in SPIKING and window >= 2 and (window - 2 - number) % 3 == 0 and slot in SPIKE
                pm25 = random.uniform(600, 900) if spikes else random.uniform(1, 9)
                reading = message(sensor, FIRST_WINDOW + window * WINDOW_LENGTH + slot * CADENCE, pm25)
                (first if in_time else later)[number % 4].append(reading)
    for partition, readings in enumerate(first):
        later[partition] += random.sample(readings, 20)
    # All of one partition: elsewhere the order in which two partitions are read would say which of two equals counts.
    for part in (first, later):
        part[3] += [spoiled(random) for _ in range(200)]
    return first, later


def send(topic: Topic, parts: list[list[RawMessage]]) -> None:
    """Produce to each partition its part."""
    for partition, part in enumerate(parts):
        topic.send(part, partition)


@contextmanager
def lived_through(
    folder: Path, broker: EmbeddedBroker, installations: int, kills: dict[str, int], seed: int
) -> Iterator[tuple[Installation, list[Installation]]]:
    """An undisturbed installation, and others of which each command was killed, so many times, twice over."""
    random = Random(seed)  # noqa: S311 (no secret)
    topic = Topic(f"crashes-{uuid4()}", broker.bootstrap_servers)
    topic.create()
    with ExitStack() as servers:
        peaceful, *others = [
            Installation.make(folder / f"{number}", topic, servers.enter_context(slack_server()))
            for number in range(installations + 1)
        ]
        for part, windows in zip(messages(random), (IN_TIME, WINDOWS), strict=True):
            send(topic, part)
            last = window_key(FIRST_WINDOW + (windows - 1) * WINDOW_LENGTH)
            for arguments in (["materialize", "--from", window_key(FIRST_WINDOW), "--to", last], ["alert"]):
                started = time.monotonic()
                assert not peaceful.run(arguments)
                seconds = time.monotonic() - started
                for installation in others:
                    installation.run_and_kill(arguments, kills[arguments[0]], seconds, random)
            for other in others:
                # Three kills in a row may have left it open whether Slack has an alert.
                assert not other.run(["alert", "--again"])
        for other in others:
            assert_nothing_under_way(other)
        yield peaceful, others


def rows_of(file: Path) -> Counter[str]:
    """All rows of all tables of a published copy as text, without the columns of :data:`WALL_CLOCK`."""
    found: Counter[str] = Counter()
    with duckdb.connect(str(file), read_only=True) as connection:
        for (table,) in rows(connection, "SELECT table_name FROM duckdb_tables()"):
            if table == "pulled_offsets":
                found.update(f"{table}: {row}" for row in rows(connection, PULLED))
                continue
            columns = [row[0] for row in rows(connection, f"DESCRIBE {table}")]
            kept = [name for name in columns if name not in WALL_CLOCK and f"{table}.{name}" not in WALL_CLOCK]
            found.update(f"{table}: {row}" for row in rows(connection, f"SELECT {', '.join(kept)} FROM {table}"))
    return found


def assert_whole(file: Path) -> None:
    """What is published, if anything is, can be opened, its books balance, and each verdict has its alert."""
    if not file.exists():
        return
    with duckdb.connect(str(file), read_only=True) as connection:
        assert unaccounted_messages(connection) == []
        assert rows(connection, UNTOLD) == []


@dataclass(frozen=True)
class Outcome:
    """What an installation that was killed came to, beside the undisturbed one; all but the first are faults.

    A message may be told again only where a kill came between its request to Slack and the record of the answer.
    """

    alerts_repeated: int
    repeated_without_cause: int
    alerts_lost: int
    alerts_beyond: int
    rows_that_differ: int

    @property
    def unharmed(self) -> bool:
        """Nothing was lost, nothing differs, and nothing was told again without cause."""
        return self == Outcome(self.alerts_repeated, 0, 0, 0, 0)


def compare(peaceful: Installation, other: Installation) -> Outcome:
    """What ``other`` came to, measured by ``peaceful``."""
    expected, found = rows_of(peaceful.published), rows_of(other.published)
    told, once = Counter(other.slack.texts), Counter(peaceful.slack.texts)
    # What differs is shown by the test that fails of it.
    for row in sorted([*(f"- {row}" for row in expected - found), *(f"+ {row}" for row in found - expected)]):
        print(row[:1_000])
    repeated = Counter({text: told[text] - once[text] for text in once if told[text] > once[text]})
    return Outcome(
        alerts_repeated=repeated.total(),
        repeated_without_cause=(repeated - Counter(kill.telling for kill in other.kills)).total(),
        alerts_lost=(once - told).total(),
        alerts_beyond=len(told.keys() - once.keys()),
        rows_that_differ=((expected - found) + (found - expected)).total(),
    )


def assert_nothing_under_way(installation: Installation) -> None:
    """Dagster shows no run as under way, and no place in a pool as taken."""
    with dg.DagsterInstance.from_config(installation.settings["DAGSTER_HOME"]) as instance:
        storage = instance.event_log_storage
        assert {run.status for run in instance.get_runs()} <= {
            dg.DagsterRunStatus.SUCCESS,
            dg.DagsterRunStatus.FAILURE,
        }
        pools = [storage.get_concurrency_info(pool) for pool in storage.get_concurrency_keys()]
        assert [pool.claimed_slots for pool in pools] == [[]] * len(pools)
