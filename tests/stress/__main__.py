"""``python -m tests.stress``: kill, spoil and break in large numbers, and print what came of it."""

import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import SystemRandom

import click
import pytest
from tabulate import tabulate

from aqi_dagster.demo.broker import EmbeddedBroker
from tests.stress.crashes import INSTALLATIONS, KILLS, compare, lived_through
from tests.stress.doomed import PLACES
from tests.stress.fuzz import MESSAGES, fuzz
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
@click.option("--seed", type=int, help="Of the messages and of the kills; chosen if not given.")
def main(installations: int, messages: int, seed: int | None) -> None:
    """Kill the pipeline, send it spoilt messages, break its Kafka: an error if any promise does not hold."""
    seed = SystemRandom().randrange(2**32) if seed is None else seed
    click.echo(f"Seed {seed}.")
    forget_settings()
    with tempfile.TemporaryDirectory() as folder, EmbeddedBroker() as broker:
        fuzzed = fuzz(broker, Path(folder), messages, seed)
        with lived_through(Path(folder), broker, installations, KILLS, seed) as (peaceful, others):
            others[0].kill_at_each_step_of_publishing()
            outcomes = [compare(peaceful, other) for other in others]
        kills = [kill for other in others for kill in other.kills]
    faults = BrokerFaults()
    status = pytest.main(["tests/kafka", "-m", "fault", "-p", "no:cacheprovider"], plugins=[faults])
    by_place = Counter((kill.place, kill.named) for kill in kills)
    click.echo()
    lines = [(place, by_place[place, False], by_place[place, True]) for place in PLACES]
    total = ("all", sum(line[1] for line in lines), sum(line[2] for line in lines))
    click.echo(tabulate([*lines, total], ["kills survived", "at a random moment", "at a named place"]))
    click.echo()
    figures = [
        ("messages fuzzed", fuzzed.sent),
        (f"- became readings; rejected for {fuzzed.reasons} reasons", f"{fuzzed.accepted}; {fuzzed.rejected}"),
        ("faults of Apache Kafka", sum(faults.passed.values())),
        *((f"- {kind}", number) for kind, number in sorted(faults.passed.items())),
        ("messages lost", fuzzed.lost),
        ("messages doubled", fuzzed.doubled),
        ("rows that differ from an undisturbed run", sum(outcome.rows_that_differ for outcome in outcomes)),
        ("alerts told", sum(len(other.slack.texts) for other in others)),
        ("alerts lost", sum(outcome.alerts_lost for outcome in outcomes)),
        ("alerts repeated, the kill between Slack's answer and its record", sum(o.alerts_repeated for o in outcomes)),
        ("alerts repeated otherwise", sum(o.repeated_without_cause for o in outcomes)),
    ]
    click.echo(tabulate(figures, disable_numparse=True))
    sys.exit(status or fuzzed.lost or fuzzed.doubled or not all(outcome.unharmed for outcome in outcomes))


if __name__ == "__main__":
    main()
