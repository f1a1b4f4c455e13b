"""What is the matter with the pipeline itself, told once until it is well again.

What was told is a text that the caller keeps, and keeps only if it could be told: the store may be what is the matter.
"""

import html
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from aqi_dagster.pipeline.alerts.markup import Block, context, listed, payload, plain, section
from aqi_dagster.pipeline.numbers import counted

KEPT_SECONDS = 7 * 86_400.0
"""How long a trouble is remembered that nothing can end: that of a run which nobody repeats."""

MOST_NAMED = 15
"""Troubles that a message names one by one."""

_MOST_LETTERS = 250

_TROUBLE_COLOUR, _WELL_COLOUR = "#b3261e", "#1e7d32"

_FORMAT = 1

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trouble:
    """Something that is the matter, under a ``key`` that stays the same until it is well again.

    ``since`` is in seconds since 1970. ``path`` leads to its page in Dagster. What ``is_over_by_itself`` is never well
    again: one run that failed, and that no schedule repeats.
    """

    key: str
    title: str
    detail: str
    since: float
    path: str | None = None
    is_over_by_itself: bool = False


@dataclass(frozen=True)
class Findings:
    """What a look found: the ``troubles`` that there are, and the keys of what is certainly ``well``.

    Of what is neither nothing is known now, and it stays as it was: a look may find a part of the records out of reach.
    """

    troubles: Sequence[Trouble] = ()
    well: frozenset[str] = frozenset()

    def __add__(self, other: "Findings") -> "Findings":
        return Findings([*self.troubles, *other.troubles], self.well | other.well)


@dataclass(frozen=True)
class Memory:
    """What was told and is not well yet, by key, and up to which moment runs were looked at, in seconds since 1970."""

    seen: float
    told: Mapping[str, Trouble] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str | None, now: float, first_look_back: float) -> "Memory":
        """The memory that :meth:`written` made; without one, or with one that cannot be read, a new one."""
        try:
            kept = json.loads(text or "")
            if kept["format"] == _FORMAT:
                told = [Trouble(**one) for one in kept["told"]]
                # A clock that was ahead must not hide what ends until it is that time.
                return cls(min(float(kept["seen"]), now), {one.key: one for one in told})
        except (ValueError, TypeError, KeyError):
            if text:
                _log.warning("what was told of troubles cannot be read, and is begun anew")
        return cls(now - first_look_back)

    def written(self) -> str:
        """The memory as a text."""
        return json.dumps({"format": _FORMAT, "seen": self.seen, "told": [vars(one) for one in self.told.values()]})


@dataclass(frozen=True)
class News:
    """What is to be told: troubles that are new, those that are over, and what is to be remembered once it was told."""

    new: Sequence[Trouble]
    over: Sequence[Trouble]
    memory: Memory

    def __bool__(self) -> bool:
        return bool(self.new or self.over)


def news(memory: Memory, found: Findings, seen: float) -> News:
    """What of the findings was not told yet; ``seen`` is up to which moment runs were looked at."""
    new = {one.key: one for one in reversed(found.troubles) if one.key not in memory.told}
    new = dict(reversed(new.items()))
    known = {**memory.told, **new}
    over = [replace(one) for key, one in known.items() if key in found.well]
    kept = {
        key: replace(one, detail="")
        for key, one in known.items()
        if key not in found.well and not (one.is_over_by_itself and seen - one.since > KEPT_SECONDS)
    }
    return News([*new.values()], over, Memory(seen, kept))


def trouble_message(told: News, dagster_url: str | None = None) -> Block:
    """The Slack payload that tells it, in one message however much it is."""
    parts = [counted(len(told.new), "trouble")] if told.new else []
    parts += [f"{len(told.over)} well again"] if told.over else []
    first = told.new[0] if told.new else told.over[0]
    more = len(told.new) + len(told.over) - 1
    text = f"The pipeline: {', '.join(parts)}. {_short(first.title)}" + (f", and {more} more" if more else "")
    details = []
    if told.new:
        lines = [_line(one, dagster_url) for one in told.new]
        details.append(section(listed("*What is the matter*", lines, MOST_NAMED)))
    if told.over:
        lines = [f"• {_short(one.title)}, since {_moment(one.since)}" for one in told.over]
        details.append(section(listed("*Well again*", lines, MOST_NAMED)))
    if told.new:
        details.append(context("Each is told once, and when it is well again."))
    if told.new:
        return payload(text, ":warning: Trouble with the pipeline", _TROUBLE_COLOUR, details)
    return payload(text, ":white_check_mark: The pipeline is well again", _WELL_COLOUR, details)


def _line(one: Trouble, dagster_url: str | None) -> str:
    detail = f": {_short(one.detail)}" if one.detail else ""
    title = _short(one.title)
    if one.path is not None and dagster_url is not None:
        title = f"<{html.escape(dagster_url.rstrip('/') + one.path)}|{title}>"
    return f"• *{title}*, since {_moment(one.since)}{detail}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return plain(line if len(line) <= _MOST_LETTERS else f"{line[: _MOST_LETTERS - 1]}…")


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
