"""One short life of those that ``make stress`` has in large numbers."""

from pathlib import Path

import pytest

from aqi_dagster.demo.broker import EmbeddedBroker
from tests.stress.living import live

SEED = 1
"""Of a life in which the clock is behind in one run and ahead in another."""


@pytest.mark.long
def test_what_is_named_after_a_short_life_gives_the_tables_of_an_undisturbed_one(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    lived = live(broker, tmp_path, [SEED], windows=6, happenings=4)
    assert lived.unharmed, "\n\n".join(lived.wrong)
    assert {"clock behind", "clock ahead"} <= lived.happened.keys()
    assert lived.runs["its clock could not be right"] == 1
    assert lived.checked > 0
