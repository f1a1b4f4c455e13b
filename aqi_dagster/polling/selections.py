"""Which sensors of PurpleAir's API are meant: those in a box, those with given numbers, those of a group."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aqi_dagster.errors import FeedError

INDICES_AT_ONCE = 500
"""Sensors that one request names: an address has some thousand characters at most."""


@dataclass(frozen=True)
class Selection:
    """Sensors that one request asks for: the path below /v1 and its parameters. ``most`` is how many there can be."""

    name: str
    path: str
    parameters: Mapping[str, str] = field(hash=False)
    fields: tuple[str, ...] = ()
    most: int | None = None


def box(text: str) -> Selection:
    """The sensors between ``"north,west,south,east"``, in degrees; ``FeedError`` if that is no box on Earth.

    >>> box("45.6,-122.8,45.4,-122.5").parameters["nwlng"]
    '-122.8'
    """
    parts = [part.strip() for part in text.split(",")]
    numbers = [float(part) for part in parts if re.fullmatch(r"-?\d{1,3}(\.\d+)?", part, re.ASCII)]
    if len(numbers) != 4 or len(parts) != 4:
        raise FeedError(
            f"{text!r} is no box: it takes north,west,south,east in degrees, such as 45.6,-122.8,45.4,-122.5."
        )
    north, west, south, east = numbers
    if not (-90 <= south < north <= 90 and -180 <= west < east <= 180):
        raise FeedError(f"{text!r} is no box: north must lie above south, and east be greater than west.")
    names = ("nwlat", "nwlng", "selat", "selng")
    return Selection(f"box {','.join(parts)}", "sensors", dict(zip(names, parts, strict=True)))


def indices(text: str) -> list[Selection]:
    """The sensors with the numbers in ``text``, comma-separated; ``FeedError`` if one is no number."""
    numbers = [part.strip() for part in text.split(",") if part.strip()]
    wrong = [number for number in numbers if not re.fullmatch(r"\d{1,18}", number, re.ASCII)]
    if wrong or not numbers:
        raise FeedError(
            f"{wrong[0] if wrong else text!r} is no number of a sensor: map.purpleair.com shows it as ?select="
        )
    return of_indices(sorted({int(number) for number in numbers}))


def of_indices(numbers: Sequence[int]) -> list[Selection]:
    """The sensors with these ``numbers``, in as few selections as one request each can name."""
    pieces = [numbers[start : start + INDICES_AT_ONCE] for start in range(0, len(numbers), INDICES_AT_ONCE)]
    return [
        Selection(f"sensors {_named(piece)}", "sensors", {"show_only": ",".join(map(str, piece))}, (), len(piece))
        for piece in pieces
    ]


def group(text: str) -> Selection:
    """The members of a group of the key's owner; ``FeedError`` if ``text`` is no number of one."""
    if not re.fullmatch(r"\d{1,18}", text.strip(), re.ASCII):
        raise FeedError(f"{text!r} is no number of a group: PurpleAir's API gives one when a group is made.")
    return Selection(f"group {text.strip()}", f"groups/{text.strip()}/members", {}, ("sensor_index",))


def chosen(boxes: Sequence[str], numbers: Sequence[str], groups: Sequence[str]) -> list[Selection]:
    """The selections that options name; ``FeedError`` if there is none."""
    named = indices(",".join(numbers)) if numbers else []
    found = [*map(box, boxes), *named, *map(group, groups)]
    if not found:
        raise FeedError("Which sensors? Name a box (--box north,west,south,east), --indices 1,2,... or a --group.")
    return found


def _named(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers[:3])) + (f" and {len(numbers) - 3} more" if len(numbers) > 3 else "")
