"""Kills, spoilt messages and lives as tests, in smaller numbers than those of `make stress`.

Their seeds are fixed, so that what a test says of a commit changes with the commit alone; `make stress` draws its own.
"""

from pathlib import Path

import pytest

from aqi_dagster.demo.broker import EmbeddedBroker
from tests.stress.crashes import KILLS, compare, lived_through
from tests.stress.fuzz import fuzz
from tests.stress.living import live
from tests.stress.looks import FEW_KILLS, watch

MESSAGES = 100_000
SEEDS = [1, 2, 3, 4]


@pytest.mark.long
def test_every_spoilt_message_becomes_one_row(broker: EmbeddedBroker, tmp_path: Path) -> None:
    fuzzed = fuzz(broker, tmp_path, MESSAGES, SEEDS[0])
    assert (fuzzed.lost, fuzzed.doubled) == (0, 0)
    assert fuzzed.accepted + fuzzed.rejected == fuzzed.sent == MESSAGES
    assert min(fuzzed.accepted, fuzzed.rejected) > MESSAGES / 10


@pytest.mark.long
@pytest.mark.timeout(3000)  # three minutes on an idle machine
@pytest.mark.parametrize("seed", SEEDS)
def test_an_installation_that_is_killed_thirty_times_comes_to_what_an_undisturbed_one_does(
    broker: EmbeddedBroker, tmp_path: Path, seed: int
) -> None:
    with lived_through(tmp_path, broker, 1, KILLS, seed) as (peaceful, (other,)):
        if seed == SEEDS[0]:
            other.kill_at_each_step_of_publishing()
        outcome = compare(peaceful, other)
    assert outcome.unharmed, outcome
    assert len(other.kills) >= 2 * sum(KILLS.values())


@pytest.mark.long
@pytest.mark.timeout(3000)  # three minutes on an idle machine
def test_what_is_told_of_the_air_now_is_told_whoever_dies(broker: EmbeddedBroker, tmp_path: Path) -> None:
    watched = watch(tmp_path, broker, FEW_KILLS, SEEDS[0])
    assert watched.unharmed, watched
    assert watched.kills.total() >= 20
    assert watched.most_of_one <= 2


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_to_an_installation_it_is_never_wrong_without_a_word(
    broker: EmbeddedBroker, tmp_path: Path, seed: int
) -> None:
    lived = live(broker, tmp_path, [seed])
    assert lived.unharmed, "\n\n".join(lived.wrong)
