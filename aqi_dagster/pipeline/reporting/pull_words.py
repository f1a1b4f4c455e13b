"""What a pull took in, and how the command line tells it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from aqi_dagster.pipeline.numbers import counted
from aqi_dagster.windows import window_key

REASONS_NAMED = 3


@dataclass(frozen=True)
class PullNumbers:
    """What became of the messages of a pull, and the readings of the store that lie before the first window.

    ``readings`` are the accepted messages, ``repeated`` ones among them; ``retaken`` had been rejected by earlier
    pulls. ``reasons`` and ``emptied`` count the rejected ones by reason, and the readings of which a field could not be
    read by that field: the most frequent first.
    """

    messages: int
    readings: int
    repeated: int
    rejected: int
    retaken: int
    before_first_window: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    emptied: Mapping[str, int] = field(default_factory=dict)


def pull_in_words(numbers: PullNumbers, first_window: datetime) -> Iterator[str]:
    """Lines that tell ``numbers``; windows begin with ``first_window``."""
    if numbers.messages:
        yield (
            f"Pulled {counted(numbers.messages, 'message')}: {counted(numbers.readings, 'reading')}, "
            f"{numbers.repeated:,} of them repeated, and {numbers.rejected:,} rejected."
        )
    else:
        yield "Nothing new in the topic."
    if numbers.reasons:
        yield f"Rejected: {_by_name(numbers.reasons)}. The table rejected_messages has them."
    if numbers.retaken:
        yield f"{counted(numbers.retaken, 'message')} rejected before, for lying in the future, became readings."
    if numbers.emptied:
        yield f"Left empty, because it cannot be read: {_by_name(numbers.emptied)}."
    if numbers.before_first_window:
        yield before_in_words(numbers.before_first_window, first_window)


def before_in_words(readings: int, first_window: datetime) -> str:
    """That ``readings`` lie before the first window, and what follows."""
    verb = "lies" if readings == 1 else "lie"
    return (
        f"{counted(readings, 'reading')} in the store {verb} before AQI_FIRST_WINDOW, {window_key(first_window)}, and "
        "will never be scored."
    )


def _by_name(counts: Mapping[str, int]) -> str:
    named = [f"{name} ({count:,})" for name, count in [*counts.items()][:REASONS_NAMED]]
    others = sum([*counts.values()][REASONS_NAMED:])
    return ", ".join(named) + (f" and others ({others:,})" if others else "")
