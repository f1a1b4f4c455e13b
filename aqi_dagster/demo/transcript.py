"""A message to Slack as plain text."""

import html
import re
from typing import Any

_SYMBOLS = {
    ":fire:": "🔥",
    ":wrench:": "🔧",
    ":white_circle:": "⚪",
    ":white_check_mark:": "✅",
    ":grey_question:": "❔",
    ":large_green_circle:": "🟢",
    ":large_yellow_circle:": "🟡",
    ":large_orange_circle:": "🟠",
    ":red_circle:": "🔴",
    ":large_purple_circle:": "🟣",
    ":large_brown_circle:": "🟤",
}

_LINK = re.compile(r"<[^|>]*\|([^>]*)>")


def as_text(payload: dict[str, Any]) -> str:
    """What the blocks of ``payload`` show, without links and markup.

    >>> block = {"type": "section", "text": {"type": "mrkdwn", "text": "*Lake Tahoe* <https://x|38.9, -120.1> &amp;"}}
    >>> as_text({"blocks": [block], "attachments": []})
    'Lake Tahoe 38.9, -120.1 &'
    """
    blocks = [*payload["blocks"], *(block for shown in payload["attachments"] for block in shown["blocks"])]
    texts = [block["text"] if "text" in block else block["elements"][0] for block in blocks]
    text = _LINK.sub(r"\1", "\n".join(one["text"] for one in texts)).replace("*", "")
    for name, symbol in _SYMBOLS.items():
        text = text.replace(name, symbol)
    return html.unescape(text)
