"""What an alert says, as Slack's Block Kit: one message for a window, one digest for many old ones.

Slack refuses a message with a text of more than 3,000 characters (150 in a header) or more than 50 blocks. Whatever can
grow is therefore cut here, and the message says how much was left out.
"""

import html
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any
from urllib.parse import quote

from aqi_dagster.pipeline.aqi import CATEGORIES
from aqi_dagster.pipeline.messages import coordinates
from aqi_dagster.pipeline.neighbours import Neighbours
from aqi_dagster.pipeline.verdicts import MAX_VARIATION, MIN_ANOMALIES, RegionalWindow
from aqi_dagster.windows import WINDOW_LENGTH, window_key

MAX_TEXT = 3_000
"""Characters that Slack takes in one text of a block."""

MAX_NAME = 100
"""Characters of a region's or sensor's name that are shown."""

SENSORS_NAMED = 10
"""Sensors that a message names one by one."""

NAMED_IN_SENTENCE = 3
"""Sensors that a sentence names one by one."""

DIGEST_LINES = 40
"""Windows that a digest names one by one, the newest ones."""

TITLES = {
    "smoke": "Suspected Smoke Event",
    "malfunction": "Malfunctioning Sensor",
    "withdrawn": "Alert Withdrawn",
}

_PLURALS = {
    "smoke": "Suspected Smoke Events",
    "malfunction": "Malfunctioning Sensors",
    "withdrawn": "Alerts Withdrawn",
}

_GREY = "#5f6368"
_COLOURS = {"smoke": "#b3261e", "malfunction": "#9a6b00", "withdrawn": _GREY}
_SYMBOLS = {"smoke": ":fire:", "malfunction": ":wrench:", "withdrawn": ":white_circle:"}

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

Block = dict[str, Any]


@dataclass(frozen=True)
class Alert:
    """A row of the outbox with the regional window it speaks of; the latter's columns are None if it is withdrawn.

    ``told_at`` is when Slack took ``previous_verdict``, naive UTC, and ``told_before`` the :func:`reason` it was given;
    all are None in a window's first message, the last also where it was sent by a release that did not keep it.
    ``neighbours`` are None where nobody looked.
    """

    alert_id: int
    region: str
    window_start: datetime
    verdict: str
    previous_verdict: str | None
    told_at: datetime | None
    told_before: str | None
    status: str
    sensors: list[str] | None
    min_event: datetime | None
    max_pm25: float | None
    count_anomalies: int | None
    variation: float | None
    max_pm25_corrected: float | None
    aqi_of_max: int | None
    aqi_category: str | None
    neighbours: Neighbours | None = None

    @property
    def window_end(self) -> datetime:
        """End of the window, excluded."""
        return self.window_start + WINDOW_LENGTH


def headline(alert: Alert) -> str:
    """The alert in one line: what notifications and logs show."""
    return _headline(alert, _window(alert))


def _headline(alert: Alert, window: str) -> str:
    before = "" if alert.previous_verdict is None else f' (told before as "{TITLES[alert.previous_verdict]}")'
    return f"{TITLES[alert.verdict]} in {_name(alert.region)}, {window}: {reason(alert)}{before}"


def reason(alert: Alert | RegionalWindow) -> str:
    """Why the verdict is what it is, by the rule that decided it."""
    if alert.sensors is None or alert.min_event is None:
        return "no anomaly of this region is in the window any more"
    facts = (
        f"{_count(len(alert.sensors), 'sensor')}, {_count(alert.count_anomalies or 0, 'anomaly', 'anomalies')} "
        f"since {alert.min_event:%H:%M}, up to {alert.max_pm25:,.0f} ug/m3"
    )
    if alert.verdict == "smoke":
        aqi = _aqi(alert)
        index = "" if aqi is None else f", AQI {_index(aqi)} '{_category(alert)}'"
        steady = "" if alert.variation is None else f"; its readings are steady (variation {alert.variation:.2f})"
        return f"{facts}{index}{steady}"
    if alert.variation is None:
        return f"{facts}: too few for smoke ({MIN_ANOMALIES} or more)"
    return f"{facts}: its readings scatter (variation {_above(alert.variation, MAX_VARIATION)} > {MAX_VARIATION})"


def surroundings(neighbours: Neighbours) -> str:
    """How far it reaches and whether to believe it: what the region's other sensors read, and which are broken."""
    others = [f"{pm25:,.0f}" for pm25 in neighbours.others]
    match others:
        case []:
            text = "No other sensor of the region is known to have measured meanwhile."
        case [one]:
            text = f"The region's other sensor read {one} ug/m3 meanwhile."
        case [lowest, *_, highest]:
            text = (
                f"The region's {len(others):,} other sensors read {lowest} to {highest} ug/m3 meanwhile, "
                f"median {neighbours.median:,.0f}."
            )
    return f"{text} {_some('Not to be believed', neighbours.implausible)}." if neighbours.implausible else text


def story(window: RegionalWindow, neighbours: Neighbours | None) -> str:
    """The verdict, its reason and, if somebody looked, its surroundings: what the window's page and the log show."""
    told = f"{TITLES[window.verdict]}: {reason(window)}. {_some('Sensors', window.sensors)}."
    return told if neighbours is None else f"{told} {surroundings(neighbours)}"


def message(alert: Alert, dagster_url: str | None = None) -> Block:
    """The Slack payload that tells one alert; with ``dagster_url`` it links the window's page in the Dagster UI."""
    details = [_section(f"*{_name(alert.region)}*, {_window(alert)}\n{_sentence(reason(alert))}")]
    if alert.previous_verdict is not None:
        details.append(_section(_correction(alert)))
    if alert.sensors is not None:
        lines = [f"• {_map_link(sensor)}" for sensor in alert.sensors]
        details.append(_section(_listed("*Sensors*", lines, SENSORS_NAMED)))
    if alert.neighbours is not None:
        details.append(_section(html.escape(surroundings(alert.neighbours), quote=False)))
    if _aqi(alert) is not None:
        details.append(
            _context(
                f"AQI: what a whole day of {alert.max_pm25_corrected:,.0f} ug/m3 would have, the greatest reading that "
                "EPA's correction covers."
            )
        )
    if dagster_url is not None:
        details.append(_context(_window_link(alert, dagster_url, "This window in Dagster")))
    colour = _CATEGORY_COLOURS.get(_category(alert), _COLOURS[alert.verdict])
    return _payload(headline(alert), f"{_symbol(alert)} {TITLES[alert.verdict]}", colour, details)


def digest_message(alerts: Sequence[Alert], dagster_url: str | None = None) -> Block:
    """The Slack payload that tells many old windows at once; ``alerts`` are in order of time."""
    first, last = alerts[0], alerts[-1]
    title = f"{_count(len(alerts), 'older window')} classified"
    span = f"{first.window_start:%Y-%m-%d %H:%M} to {last.window_end:%Y-%m-%d %H:%M} UTC"
    verdicts = Counter(alert.verdict for alert in alerts)
    summary = ", ".join(
        _count(number, TITLES[verdict], _PLURALS[verdict]) for verdict, number in verdicts.most_common()
    )
    details = [_section(f"{span}: {summary}.")]
    named = alerts[-DIGEST_LINES:]
    if len(named) < len(alerts):
        details.append(_context(f"The newest {len(named)}; {len(alerts) - len(named)} earlier ones are left out."))
    details += [_section(text) for text in _pages([_digest_line(alert, dagster_url) for alert in named])]
    if dagster_url is not None:
        details.append(_context(f"<{html.escape(_windows_page(dagster_url))}|All windows in Dagster>"))
    return _payload(f"{title}, {span}: {summary}", title, _GREY, details)


def _payload(text: str, title: str, colour: str, details: list[Block]) -> Block:
    """``text`` is what shows where blocks do not: in notifications, and to screen readers."""
    header = {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": True}}
    return {"text": text, "blocks": [header], "attachments": [{"color": colour, "blocks": details}]}


def _section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _context(text: str) -> Block:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}


def _correction(alert: Alert) -> str:
    told_at = "" if alert.told_at is None else f" at {alert.told_at:%Y-%m-%d %H:%M} UTC"
    why = "" if alert.told_before is None else f": {alert.told_before}"
    now = "That no longer holds" if alert.verdict == "withdrawn" else f"The verdict is now {TITLES[alert.verdict]}"
    return f"*Correction:* this window was told{told_at} as {TITLES[alert.previous_verdict or '']}{why}. {now}."


def _symbol(alert: Alert) -> str:
    return _CIRCLES.get(_category(alert), _SYMBOLS[alert.verdict])


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


def _index(aqi: int) -> str:
    """The index; what exceeds 500 is what EPA calls beyond the AQI."""
    return "over 500" if aqi > 500 else str(aqi)


def _above(value: float, limit: float) -> str:
    """``value``, greater than ``limit``, with as many decimals (two or more) as it takes to see that it is."""
    texts = (f"{value:.{digits}f}" for digits in range(2, 17))
    return next((text for text in texts if float(text) > limit), str(value))


def _aqi(alert: Alert | RegionalWindow) -> int | None:
    """The index, unless the window is a malfunction: what a broken sensor reads says nothing about the air."""
    return alert.aqi_of_max if alert.verdict == "smoke" else None


def _category(alert: Alert | RegionalWindow) -> str:
    """EPA's name for :func:`_aqi`; empty if there is none."""
    return "" if _aqi(alert) is None else alert.aqi_category or ""


def _line(text: str) -> str:
    """A text in one line, cut if it is long."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_NAME else f"{line[: MAX_NAME - 1]}…"


def _name(text: str) -> str:
    """A name in one line, cut if it is long, without the three characters that Slack's markup claims."""
    return html.escape(_line(text), quote=False)


def _map_link(sensor: str) -> str:
    """The sensor as a link to its place on the map, if its text is one."""
    place = coordinates(sensor)
    if place is None:
        return _name(sensor)
    latitude, longitude = place
    address = f"https://www.openstreetmap.org/?mlat={latitude}&mlon={longitude}"
    return f"<{html.escape(address)}|{_name(sensor)}>"


def _some(title: str, things: Sequence[str]) -> str:
    """The first few of ``things`` in a line, which hold commas themselves."""
    more = [f"and {len(things) - NAMED_IN_SENTENCE} more"] if len(things) > NAMED_IN_SENTENCE else []
    return f"{title}: {'; '.join([*map(_line, things[:NAMED_IN_SENTENCE]), *more])}"


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


def _count(number: int, noun: str, plural: str | None = None) -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
