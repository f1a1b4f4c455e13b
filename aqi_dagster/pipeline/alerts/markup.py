"""Slack's markup and blocks, whatever they say: what could be taken for markup, or is too long, is made harmless."""

import html
import re
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


def map_link(sensor: str) -> str:
    """The sensor as a link to its place on the map, if its text is one."""
    place = coordinates(sensor)
    if place is None:
        return name(sensor)
    latitude, longitude = place
    address = f"https://www.openstreetmap.org/?mlat={latitude}&mlon={longitude}"
    return f"<{html.escape(address)}|{name(sensor)}>"


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
