"""Lives in any number, each with an undisturbed installation beside it that reads the same topic."""

from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from uuid import uuid4

from aqi_dagster.demo.broker import EmbeddedBroker
from tests.stress.disk import disk
from tests.stress.happenings import happen
from tests.stress.life_readings import arrivals
from tests.stress.lives import Life, begin
from tests.stress.mending import Mended, compare
from tests.support.slack_server import slack_server
from tests.support.topics import Topic

LIVES = 40
"""Of `make stress`."""

WINDOWS = 24
HAPPENINGS = 14


@dataclass
class Lived:
    """What lives came to."""

    lives: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    looked_at: int = 0
    checked: int = 0
    runs_to_mend: int = 0
    rows_that_differ: int = 0
    verdicts_untold: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, life: Life, mended: Mended) -> None:
        """Count a life that has ended."""
        self.lives += 1
        self.happened += life.happened
        self.runs += life.runs
        self.looked_at += life.looked_at
        self.checked += life.checked
        self.runs_to_mend += mended.runs
        self.rows_that_differ += sum(mended.rows_that_differ.values())
        self.verdicts_untold += mended.verdicts_untold
        self.wrong += life.wrong
        if mended.rows_that_differ or mended.verdicts_untold:
            self.wrong.append(life.tell(f"in the end: {mended}"))

    @property
    def unharmed(self) -> bool:
        """Whether nothing was wrong without a word, and what was named mended all."""
        return not (self.rows_that_differ or self.verdicts_untold or self.wrong)


def live(
    broker: EmbeddedBroker, folder: Path, seeds: Iterable[int], windows: int = WINDOWS, happenings: int = HAPPENINGS
) -> Lived:
    """Live a life of so many ``windows`` and ``happenings`` by each of ``seeds``."""
    lived = Lived()
    for seed in seeds:
        place = folder / f"life-{seed}"
        place.mkdir()
        _live(broker, place, Random(seed), windows, happenings, lived)  # noqa: S311 (no secret)
    return lived


def _live(broker: EmbeddedBroker, folder: Path, random: Random, windows: int, happenings: int, lived: Lived) -> None:
    topic = Topic(f"life-{uuid4()}", broker.bootstrap_servers)
    topic.create()
    parts = arrivals(random, windows)
    with ExitStack() as stack:

        def installation(name: str) -> Life:
            (folder / name).mkdir()
            own_disk = stack.enter_context(disk(folder / f"disk of {name}"))
            return begin(random, folder / name, own_disk, topic, stack.enter_context(slack_server()), parts)

        life, undisturbed = installation("disturbed"), installation("undisturbed")
        for _ in range(happenings):
            happen(life)
        life.go_on(windows)
        lived.add(life, compare(life, undisturbed))
