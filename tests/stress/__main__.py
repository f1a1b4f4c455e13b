"""``python -m tests.stress``: kill, spoil and break in large numbers, and print what came of it."""

import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom

import click
import pytest
from tabulate import tabulate

from aqi_dagster.demo.broker import EmbeddedBroker
from tests.stress.crashes import INSTALLATIONS, KILLS, compare, lived_through
from tests.stress.figures import (
    fuzz_figures,
    happened_figures,
    kill_figures,
    life_figures,
    outcome_figures,
    watched_figures,
)
from tests.stress.fuzz import MESSAGES, fuzz
from tests.stress.living import LIVES, live
from tests.stress.looks import KILLS as LOOK_KILLS
from tests.stress.looks import WATCHED, watch
from tests.support.environment import forget_settings


class BrokerFaults:
    """Counts, by kind, the faults of Apache Kafka whose tests passed."""

    def __init__(self) -> None:
        self.passed: Counter[str] = Counter()
        self._kinds: dict[str, str] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note which test injects what."""
        self._kinds = {item.nodeid: mark.args[0] for item in items for mark in item.iter_markers("fault")}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test that passed."""
        if report.when == "call" and report.passed and report.nodeid in self._kinds:
            self.passed[self._kinds[report.nodeid]] += 1


@click.command()
@click.option("--installations", default=INSTALLATIONS, show_default=True, help="Each lives through 30 kills.")
@click.option("--messages", default=MESSAGES, show_default=True, help="Spoilt messages to send.")
@click.option("--lives", default=LIVES, show_default=True, help="Installations to which anything happens.")
@click.option("--watched", default=WATCHED, show_default=True, help="Installations that are killed while they look.")
@click.option("--faults/--no-faults", default=True, show_default=True, help="Break Apache Kafka, too.")
@click.option("--seed", type=int, help="Of messages, kills and lives; chosen if not given.")
def main(installations: int, messages: int, lives: int, watched: int, faults: bool, seed: int | None) -> None:
    """Kill the pipeline, send it spoilt messages, break its Kafka: an error if any promise does not hold."""
    seed = SystemRandom().randrange(2**32) if seed is None else seed
    click.echo(f"Seed {seed}.")
    forget_settings()
    harmed = []
    with tempfile.TemporaryDirectory() as folder, EmbeddedBroker() as broker:
        place = Path(folder)
        if messages:
            fuzzed = fuzz(broker, place, messages, seed)
            harmed.append(fuzzed.lost or fuzzed.doubled)
            echo_table(fuzz_figures(fuzzed))
        if lives:
            lived = live(broker, place, range(seed, seed + lives))
            harmed.append(not lived.unharmed)
            echo_table(happened_figures(lived), ["what happened", "times"])
            echo_table(life_figures(lived))
            click.echo("\n\n".join(lived.wrong))
        if installations:
            with lived_through(place, broker, installations, KILLS, seed) as (peaceful, others):
                others[0].kill_at_each_step_of_publishing()
                outcomes = [compare(peaceful, other) for other in others]
            harmed.append(not all(outcome.unharmed for outcome in outcomes))
            echo_table(kill_figures(others), ["kills survived", "at a random moment", "at a named place"])
            echo_table(outcome_figures(others, outcomes))
        for number in range(watched):
            found = watch(place / f"watched-{number}", broker, LOOK_KILLS, seed + number)
            harmed.append(not found.unharmed)
            click.echo(f"Watched by seed {seed + number}.")
            echo_table(watched_figures(found), ["kills survived, and what Slack was told", "number"])
    if faults:
        broken = BrokerFaults()
        harmed.append(pytest.main(["tests/kafka", "-m", "fault", "-p", "no:cacheprovider"], plugins=[broken]))
        echo_table(sorted(broken.passed.items()), ["faults of Apache Kafka", "survived"])
    sys.exit(any(harmed))


def echo_table(lines: Sequence[Sequence[object]], headers: Sequence[str] = ()) -> None:
    """Print a table, with an empty line after it."""
    click.echo(tabulate(lines, headers, disable_numparse=True) + "\n")


if __name__ == "__main__":
    main()
