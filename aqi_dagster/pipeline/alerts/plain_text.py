"""Messages without markup, for channels other than Slack: what is shown in lines of plain text."""

import html
import re

from aqi_dagster.pipeline.alerts.markup import Block, without_look_alikes

_LINK = re.compile(r"<([^<>|]*)\|([^<>|]*)>")

_SYMBOL = re.compile(r"^:[\w+'-]+: ", re.MULTILINE)


def plain_headline(payload: Block) -> str:
    """The message in one line."""
    return _plain(payload["text"])


def plain_lines(payload: Block) -> list[str]:
    """All that the message shows, from its title on; an empty line is between its parts."""
    blocks = [*payload["blocks"], *(block for part in payload["attachments"] for block in part["blocks"])]
    texts = [block["text"]["text"] if "text" in block else block["elements"][0]["text"] for block in blocks]
    return "\n\n".join(map(_plain, texts)).split("\n")


def _plain(text: str) -> str:
    """``text`` without Slack's markup: a link is its text and its address."""
    bare = _LINK.sub(r"\2: \1", _SYMBOL.sub("", text).replace("*", ""))
    return without_look_alikes(html.unescape(bare))
