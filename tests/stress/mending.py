"""What an operator does about it: run what is named until nothing is. And whether all is as if nothing had happened."""

from dataclasses import dataclass

import duckdb

from aqi_dagster.windows import WindowRange
from tests.stress.happenings import OTHER_SETTINGS
from tests.stress.lives import RANGE, Life
from tests.support.results import differences, pulled, results
from tests.support.tables import rows

MOST_RUNS = 25

NAMED = ("to materialize", "to materialize again", "to classify again")
"""Lines of ``aqi-dagster status`` that name a range."""

OFFSETS = """
SELECT topic_generation, kafka_partition, next_offset, messages
FROM kafka_offsets
ORDER BY ALL
"""

UNTOLD = """
WITH told AS (
    SELECT region, window_start, arg_max(verdict, alert_id) AS verdict
    FROM slack_alerts
    WHERE kind = 'verdict' AND status = 'sent'
    GROUP BY ALL
)
SELECT region, window_start, regional_windows.verdict
FROM regional_windows LEFT JOIN told USING (region, window_start)
WHERE
    told.verdict IS DISTINCT FROM regional_windows.verdict
    AND (rules = 'notebook' OR regional_windows.verdict = 'smoke')
    AND window_end > (SELECT max(changed_at) FROM rule_changes)
"""
"""Verdicts that Slack was not told last, but for those of windows that had ended when other rules came."""


@dataclass(frozen=True)
class Mended:
    """How many runs it took, and what differs from an undisturbed installation with the final settings, by table."""

    runs: int
    rows_that_differ: dict[str, int]
    verdicts_untold: int


def mend(life: Life) -> int:
    """Run the newest window, as the schedule does, and then what is named, until nothing is; how many runs."""
    assert life.windows is not None
    asked: WindowRange | None = WindowRange(life.windows.last, life.windows.last)
    runs = 0
    while asked is not None:
        assert runs < MOST_RUNS, life.tell(f"there is always something to be run, now {asked}")
        runs += 1
        ended = life.materialize(asked)
        if ended.status:
            # Where an error names no range, it is that detectors are of other settings: all is to be run.
            runs += 1
            life.materialize(_named(ended.told) or life.windows)
        life.look("mending")
        asked = _named_by_status(life)
    life.run(["alert"])
    return runs


def _named(told: str) -> WindowRange | None:
    """The last range of a text: an error names first what lacks, and then what is to be run for it."""
    found = RANGE.findall(told)
    return WindowRange.of_keys(*found[-1]) if found else None


def _named_by_status(life: Life) -> WindowRange | None:
    told = life.run(["status"]).told
    for line in told.splitlines():
        if line.startswith(NAMED):
            return _named(line)
    return None


def compare(life: Life, undisturbed: Life) -> Mended:
    """Mend ``life``, let the other one be run once with the same settings, and compare the two."""
    runs = mend(life)
    undisturbed.settings |= {name: life.settings[name] for name in OTHER_SETTINGS if name in life.settings}
    undisturbed.ended = life.ended
    assert undisturbed.windows is not None
    assert undisturbed.materialize(undisturbed.windows).status == 0
    parameters = life.choices.parameters
    with (
        duckdb.connect(str(life.published), read_only=True) as one,
        duckdb.connect(str(undisturbed.published), read_only=True) as other,
    ):
        found, expected = (
            results(copy, parameters) | pulled(copy) | {"kafka_offsets": rows(copy, OFFSETS)} for copy in (one, other)
        )
        untold = rows(one, UNTOLD)
    return Mended(runs, differences(found, expected), len(untold))
