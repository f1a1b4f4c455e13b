"""A few of the crashes that ``make stress`` has in large numbers."""

from pathlib import Path

import duckdb

from aqi_dagster.demo.broker import EmbeddedBroker
from tests.stress.crashes import compare, lived_through
from tests.stress.doomed import ANSWERED, ASKING
from tests.support.tables import rows

SEED = 1


def test_a_pipeline_that_is_killed_over_and_over_comes_to_what_an_undisturbed_one_does(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    kills = {"materialize": 2, "alert": 1}
    with lived_through(tmp_path, broker, 1, kills, SEED) as (peaceful, (other,)):
        with duckdb.connect(str(peaceful.published), read_only=True) as connection:
            verdicts = rows(connection, "SELECT DISTINCT verdict FROM regional_windows ORDER BY ALL")
        assert verdicts == [("malfunction",), ("smoke",)]
        assert len(other.kills) == 2 * sum(kills.values())
        assert {ASKING, ANSWERED} <= {kill.place for kill in other.kills}
        outcome = compare(peaceful, other)
        assert outcome.unharmed, outcome
        assert outcome.alerts_repeated == 1
