"""Slack's markup and blocks, whatever they say: what could be taken for markup, or is too long, is made harmless."""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from aqi_dagster.pipeline.alerts.wording import in_one_line
from aqi_dagster.sensors import coordinates

MAX_TEXT = 3_000
"""Characters that Slack takes in one text of a block."""

_LOOK_ALIKES = str.maketrans(
    {
        "*": "\N{ASTERISK OPERATOR}",
        "_": "\N{MODIFIER LETTER LOW MACRON}",
        "~": "\N{TILDE OPERATOR}",
        "`": "\N{MODIFIER LETTER GRAVE ACCENT}",
    }
)

_EMOJI = re.compile(r":(?!\d\d:)([\w+'-]+):")
"""What Slack may take for one; two digits are those of a time."""

_COLON = "\N{MODIFIER LETTER COLON}"

_ORIGINALS = {ord(other): chr(original) for original, other in _LOOK_ALIKES.items()} | {ord(_COLON): ":"}

_MARGIN = 0.02
"""Degrees around the sensors that a map shows."""

NO_NOTES: Mapping[str, str] = {}

Block = dict[str, Any]


def payload(text: str, title: str, colour: str, details: list[Block]) -> Block:
    """``text`` is what shows where blocks do not: in notifications, and to screen readers."""
    header = {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": True}}
    return {"text": text, "blocks": [header], "attachments": [{"color": colour, "blocks": details}]}


def section(text: str) -> Block:
    return {"type": "section", "text": _markup(text)}


def context(text: str) -> Block:
    return {"type": "context", "elements": [_markup(text)]}


def _markup(text: str) -> dict[str, Any]:
    """``text`` with our own markup: ``verbatim`` keeps Slack from making links of addresses and channels in names."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def name(text: str) -> str:
    """A name in one line, cut if it is long, and no markup."""
    return plain(in_one_line(text))


def plain(text: str) -> str:
    """``text`` as Slack shows it, without being markup.

    Slack knows an escape for three characters alone; those that make text bold, italic, struck out, code or an emoji
    become others that look like them.
    """
    return _EMOJI.sub(rf"{_COLON}\1{_COLON}", html.escape(text, quote=False).translate(_LOOK_ALIKES))


def without_look_alikes(text: str) -> str:
    """``text``, which is not markup, with the characters that :func:`plain` took away."""
    return text.translate(_ORIGINALS)


def sensor_lines(sensors: Sequence[str], names: Mapping[str, str], notes: Mapping[str, str] = NO_NOTES) -> list[str]:
    """A line for each of ``sensors``: its name, if its messages told one, its text, and what is to be noted of it."""
    return [_line(sensor, names.get(sensor), notes.get(sensor)) for sensor in sensors]


def _line(sensor: str, its_name: str | None, note: str | None) -> str:
    text = name(sensor) if its_name is None else f"{name(its_name)} ({name(sensor)})"
    return f"• {text}" if note is None else f"• {text}: {plain(note)}"


def map_link(sensors: Iterable[str]) -> str | None:
    """A link to one map that shows where all of ``sensors`` are; None if none of their texts names a place.

    One is marked, and a frame is drawn around several, however many they are.
    """
    places = [place for place in map(coordinates, sensors) if place is not None]
    if not places:
        return None
    latitudes, longitudes = zip(*places, strict=True)
    if len(set(places)) == 1:
        where = f"mlat={latitudes[0]}&mlon={longitudes[0]}"
    else:
        west, east = min(longitudes) - _MARGIN, max(longitudes) + _MARGIN
        south, north = min(latitudes) - _MARGIN, max(latitudes) + _MARGIN
        where = f"minlon={west:.4f}&minlat={south:.4f}&maxlon={east:.4f}&maxlat={north:.4f}&box=yes"
    title = "Map of this sensor" if len(places) == 1 else f"Map of these {len(places):,} sensors"
    return f"<{html.escape(f'https://www.openstreetmap.org/?{where}')}|{title}>"


def listed(title: str, lines: list[str], most: int) -> str:
    """``title`` and the first of ``lines``: at most ``most``, and as many as one text holds."""
    room = MAX_TEXT - len(f"{title}\nand {len(lines)} more")
    fitting = sum(length <= room for length in accumulate(len(line) + 1 for line in lines))
    shown = lines[: min(most, fitting)]
    more = [f"and {len(lines) - len(shown)} more"] if len(shown) < len(lines) else []
    return "\n".join([title, *shown, *more])


def pages(lines: list[str]) -> list[str]:
    """``lines``, none longer than one text may be, joined to as few texts as hold them."""
    pages = [lines[0]]
    for line in lines[1:]:
        if len(pages[-1]) + 1 + len(line) <= MAX_TEXT:
            pages[-1] += f"\n{line}"
        else:
            pages.append(line)
    return pages


def sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
