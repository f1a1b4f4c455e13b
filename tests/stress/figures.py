"""What `make stress` prints, and docs/guarantees.md repeats."""

from collections import Counter
from collections.abc import Sequence

from tests.stress.crashes import Installation, Outcome
from tests.stress.doomed import PLACES
from tests.stress.fuzz import Fuzzed
from tests.stress.happenings import HAPPENINGS
from tests.stress.lives import WORDS
from tests.stress.living import Lived
from tests.stress.looks import Watched

Line = tuple[object, ...]


def fuzz_figures(fuzzed: Fuzzed) -> list[Line]:
    """What became of spoilt messages."""
    return [
        ("messages fuzzed", fuzzed.sent),
        ("- became readings", fuzzed.accepted),
        (f"- rejected, for {fuzzed.reasons} reasons", fuzzed.rejected),
        ("messages lost", fuzzed.lost),
        ("messages doubled", fuzzed.doubled),
    ]


def kill_figures(installations: Sequence[Installation]) -> list[Line]:
    """How many kills there were, by place."""
    kills = Counter((kill.place, kill.named) for other in installations for kill in other.kills)
    lines = [(place, kills[place, False], kills[place, True]) for place in PLACES]
    return [*lines, ("all", sum(line[1] for line in lines), sum(line[2] for line in lines))]


def outcome_figures(installations: Sequence[Installation], outcomes: Sequence[Outcome]) -> list[Line]:
    """What the installations that were killed came to."""
    return [
        ("rows that differ from an undisturbed run", sum(outcome.rows_that_differ for outcome in outcomes)),
        ("alerts told", sum(len(other.slack.texts) for other in installations)),
        ("alerts lost", sum(outcome.alerts_lost for outcome in outcomes)),
        ("alerts repeated, the kill between Slack's answer and its record", sum(o.alerts_repeated for o in outcomes)),
        ("alerts repeated otherwise", sum(o.repeated_without_cause for o in outcomes)),
    ]


def watched_figures(watched: Watched) -> list[Line]:
    """What an installation came to that was killed while it looked."""
    kills = [(f"{command}, {place}", number) for (command, place), number in sorted(watched.kills.items())]
    return [
        *kills,
        ("kills in all", watched.kills.total()),
        ("alerts told", watched.told),
        ("- of the same one at most", watched.most_of_one),
        ("- repeated, the kill between Slack's answer and its record", watched.of_looks.alerts_repeated),
        ("- repeated otherwise", watched.of_looks.repeated_without_cause),
        ("alerts lost, or left without an outcome", watched.of_looks.alerts_lost + watched.left_open),
        ("rows that differ from an installation left in peace", watched.of_looks.rows_that_differ),
        ("rows of closed windows that differ from one that never looked", watched.closed_rows_that_differ),
    ]


def happened_figures(lived: Lived) -> list[Line]:
    """What happened to installations, and how often."""
    return [(name, lived.happened[name]) for name in HAPPENINGS]


def life_figures(lived: Lived) -> list[Line]:
    """What the lives came to."""
    return [
        ("lives", lived.lives),
        ("commands that succeeded", lived.runs["succeeded"]),
        ("commands that failed, each saying what to do", sum(lived.runs[reason] for reason in WORDS)),
        *((f"- {reason}", lived.runs[reason]) for reason in WORDS),
        ("commands that were killed", lived.runs["killed"]),
        ("times that what was published was looked at", lived.looked_at),
        ("- of which nothing was named as outdated, lacking or unscored", lived.checked),
        ("wrong without a word", len(lived.wrong)),
        ("runs of what was named, until nothing was", lived.runs_to_mend),
        ("rows that then differ from an undisturbed installation", lived.rows_that_differ),
        ("verdicts untold then", lived.verdicts_untold),
    ]
