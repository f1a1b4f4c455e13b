"""What an alert says, as Slack's Block Kit: one message for a window, one digest for many old ones.

Slack refuses a message with a text of more than 3,000 characters (150 in a header) or more than 50 blocks. Whatever can
grow is therefore cut here, and the message says how much was left out.
"""

import html
import re
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from typing import Any
from urllib.parse import quote

from aqi_dagster.pipeline.alerts.wording import (
    GREY,
    HEADINGS,
    counted,
    in_one_line,
    reason,
    smoke_aqi,
    smoke_category,
    surroundings,
    title,
)
from aqi_dagster.pipeline.aqi import CATEGORIES
from aqi_dagster.pipeline.numbers import rounded
from aqi_dagster.pipeline.verdicts.outbox import Alert
from aqi_dagster.sensors import coordinates
from aqi_dagster.windows import window_key

MAX_TEXT = 3_000
"""Characters that Slack takes in one text of a block."""

SENSORS_NAMED = 10
"""Sensors that a message names one by one."""

DIGEST_LINES = 40
"""Windows that a digest names one by one, the newest ones."""

_CATEGORY_COLOURS = {category.name: category.hex_colour for category in CATEGORIES}

# Circles in the colours of EPA's categories; Slack has no maroon one.
_CIRCLES = {
    "Good": ":large_green_circle:",
    "Moderate": ":large_yellow_circle:",
    "Unhealthy for Sensitive Groups": ":large_orange_circle:",
    "Unhealthy": ":red_circle:",
    "Very Unhealthy": ":large_purple_circle:",
    "Hazardous": ":large_brown_circle:",
}

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


def headline(alert: Alert) -> str:
    """The alert in one line: what notifications and logs show."""
    return _headline(alert, _window(alert))


def _headline(alert: Alert, window: str) -> str:
    before = "" if alert.previous_verdict is None else f' (told before as "{HEADINGS[alert.previous_verdict].title}")'
    where = f"{_name(alert.subject)}, {_name(alert.region)}" if alert.subject else _name(alert.region)
    return f"{title(alert)} in {where}, {window}: {_plain(reason(alert))}{before}"


def message(alert: Alert, dagster_url: str | None = None) -> Block:
    """The Slack payload that tells one alert; with ``dagster_url`` it links the window's page in the Dagster UI."""
    details = [_section(f"*{_name(alert.region)}*, {_window(alert)}\n{_plain(_sentence(reason(alert)))}")]
    if alert.previous_verdict is not None:
        details.append(_section(_correction(alert)))
    named = [alert.subject] if alert.subject else alert.sensors or alert.healthy_sensors or []
    if named:
        lines = [f"• {_map_link(sensor)}" for sensor in named]
        details.append(_section(_listed("*Sensors*", lines, SENSORS_NAMED)))
    if surroundings(alert):
        details.append(_section(_plain(surroundings(alert))))
    if smoke_aqi(alert) is not None and alert.rules == "network":
        details.append(_context(f"AQI: what a whole day of {rounded(alert.level or 0)} ug/m3 would have."))
    elif smoke_aqi(alert) is not None:
        details.append(
            _context(
                f"AQI: what a whole day of {rounded(alert.max_pm25_corrected or 0)} ug/m3 would have, the greatest "
                "reading that EPA's correction covers."
            )
        )
    if dagster_url is not None:
        details.append(_context(_window_link(alert, dagster_url, "This window in Dagster")))
    colour = _CATEGORY_COLOURS.get(smoke_category(alert), HEADINGS[alert.verdict].hex_colour)
    return _payload(headline(alert), f"{_symbol(alert)} {title(alert)}", colour, details)


def digest_message(alerts: Sequence[Alert], dagster_url: str | None = None) -> Block:
    """The Slack payload that tells many old windows at once; ``alerts`` are in order of time."""
    first, last = alerts[0], alerts[-1]
    heading = f"{counted(len(alerts), 'older window')} classified"
    span = f"{first.window_start:%Y-%m-%d %H:%M} to {last.window_end:%Y-%m-%d %H:%M} UTC"
    verdicts = Counter(alert.verdict for alert in alerts)
    summary = ", ".join(
        counted(number, HEADINGS[verdict].title, HEADINGS[verdict].plural) for verdict, number in verdicts.most_common()
    )
    details = [_section(f"{span}: {summary}.")]
    named = alerts[-DIGEST_LINES:]
    if len(named) < len(alerts):
        details.append(_context(f"The newest {len(named)}; {len(alerts) - len(named)} earlier ones are left out."))
    details += [_section(text) for text in _pages([_digest_line(alert, dagster_url) for alert in named])]
    if dagster_url is not None:
        details.append(_context(f"<{html.escape(_windows_page(dagster_url))}|All windows in Dagster>"))
    return _payload(f"{heading}, {span}: {summary}", heading, GREY, details)


def credited(payload: Block, source: str, address: str) -> Block:
    """``payload`` with a last line that says where the readings are from."""
    shown, *others = payload["attachments"]
    line = _context(f"Data from <{html.escape(address)}|{_name(source)}>")
    return {**payload, "attachments": [{**shown, "blocks": [*shown["blocks"], line]}, *others]}


def _payload(text: str, title: str, colour: str, details: list[Block]) -> Block:
    """``text`` is what shows where blocks do not: in notifications, and to screen readers."""
    header = {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": True}}
    return {"text": text, "blocks": [header], "attachments": [{"color": colour, "blocks": details}]}


def _section(text: str) -> Block:
    return {"type": "section", "text": _markup(text)}


def _context(text: str) -> Block:
    return {"type": "context", "elements": [_markup(text)]}


def _markup(text: str) -> dict[str, Any]:
    """``text`` with our own markup: ``verbatim`` keeps Slack from making links of addresses and channels in names."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _correction(alert: Alert) -> str:
    told_at = "" if alert.told_at is None else f" at {alert.told_at:%Y-%m-%d %H:%M} UTC"
    why = "" if alert.told_before is None else f": {_plain(alert.told_before)}"
    now = (
        "That no longer holds"
        if alert.verdict == "withdrawn"
        else f"The verdict is now {HEADINGS[alert.verdict].title}"
    )
    return f"*Correction:* this window was told{told_at} as {HEADINGS[alert.previous_verdict or ''].title}{why}. {now}."


def _symbol(alert: Alert) -> str:
    return _CIRCLES.get(smoke_category(alert), HEADINGS[alert.verdict].symbol)


def _digest_line(alert: Alert, dagster_url: str | None) -> str:
    """The alert's headline, whose window links to its page."""
    window = _window(alert)
    linked = window if dagster_url is None else _window_link(alert, dagster_url, window)
    return f"{_symbol(alert)} {_headline(alert, linked)}"


def _window_link(alert: Alert, dagster_url: str, text: str) -> str:
    """``text`` as a link to the page of the alert's window."""
    address = f"{_windows_page(dagster_url)}&partition={quote(window_key(alert.window_start))}"
    return f"<{html.escape(address)}|{text}>"


def _windows_page(dagster_url: str) -> str:
    return f"{dagster_url.rstrip('/')}/assets/regional_windows?view=partitions"


def _window(alert: Alert) -> str:
    return f"{alert.window_start:%Y-%m-%d %H:%M} to {alert.window_end:%H:%M} UTC"


def _name(text: str) -> str:
    """A name in one line, cut if it is long, and no markup."""
    return _plain(in_one_line(text))


def _plain(text: str) -> str:
    """``text`` as Slack shows it, without being markup.

    Slack knows an escape for three characters alone; those that make text bold, italic, struck out, code or an emoji
    become others that look like them.
    """
    return _EMOJI.sub(rf"{_COLON}\1{_COLON}", html.escape(text, quote=False).translate(_LOOK_ALIKES))


def _map_link(sensor: str) -> str:
    """The sensor as a link to its place on the map, if its text is one."""
    place = coordinates(sensor)
    if place is None:
        return _name(sensor)
    latitude, longitude = place
    address = f"https://www.openstreetmap.org/?mlat={latitude}&mlon={longitude}"
    return f"<{html.escape(address)}|{_name(sensor)}>"


def _listed(title: str, lines: list[str], most: int) -> str:
    """``title`` and the first of ``lines``: at most ``most``, and as many as one text holds."""
    room = MAX_TEXT - len(f"{title}\nand {len(lines)} more")
    fitting = sum(length <= room for length in accumulate(len(line) + 1 for line in lines))
    shown = lines[: min(most, fitting)]
    more = [f"and {len(lines) - len(shown)} more"] if len(shown) < len(lines) else []
    return "\n".join([title, *shown, *more])


def _pages(lines: list[str]) -> list[str]:
    """``lines``, none longer than one text may be, joined to as few texts as hold them."""
    pages = [lines[0]]
    for line in lines[1:]:
        if len(pages[-1]) + 1 + len(line) <= MAX_TEXT:
            pages[-1] += f"\n{line}"
        else:
            pages.append(line)
    return pages


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
