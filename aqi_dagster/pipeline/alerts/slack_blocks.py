"""What an alert says, as Slack's Block Kit: one message for a window, one digest for many old ones.

Slack refuses a message with a text of more than 3,000 characters (150 in a header) or more than 50 blocks. Whatever can
grow is therefore cut here, and the message says how much was left out.
"""

import html
from collections import Counter
from collections.abc import Sequence
from urllib.parse import quote

from aqi_dagster.page_addresses import now_address, window_address
from aqi_dagster.pipeline.alerts.local_time import LocalTime
from aqi_dagster.pipeline.alerts.markup import (
    Block,
    context,
    listed,
    map_link,
    name,
    pages,
    payload,
    plain,
    section,
    sensor_lines,
    sentence,
)
from aqi_dagster.pipeline.alerts.moment_blocks import moment_headline, moment_message
from aqi_dagster.pipeline.alerts.wording import GREY, HEADINGS, reason, smoke_aqi, smoke_category, surroundings, title
from aqi_dagster.pipeline.aqi import CATEGORIES
from aqi_dagster.pipeline.numbers import counted, rounded
from aqi_dagster.pipeline.verdicts.outbox.due_alerts import Alert
from aqi_dagster.windows import window_key

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


def headline(alert: Alert, zone: str | None = None) -> str:
    """The alert in one line: what notifications and logs show."""
    if alert.as_of is not None:
        return moment_headline(alert, zone)
    return _headline(alert, _window(alert))


def _headline(alert: Alert, window: str) -> str:
    before = "" if alert.previous_verdict is None else f' (told before as "{HEADINGS[alert.previous_verdict].title}")'
    where = f"{name(alert.subject)}, {name(alert.region)}" if alert.subject else name(alert.region)
    return f"{title(alert)} in {where}, {window}: {plain(reason(alert))}{before}"


def message(alert: Alert, dagster_url: str | None = None, zone: str | None = None, web_url: str | None = None) -> Block:
    """The Slack payload that tells one alert, with links to the page for people and to the Dagster UI, if there are.

    Beside UTC it has the time in ``zone``; without one, where the sensors are.
    """
    if alert.as_of is not None:
        return moment_message(alert, _moment_links(alert, dagster_url, web_url), zone)
    named = [alert.subject] if alert.subject else alert.sensors or alert.healthy_sensors or []
    time = LocalTime.of([*named, *(alert.broken_sensors or [])], zone)
    window = time.span(alert.window_start, alert.window_end)
    details = [section(f"*{name(alert.region)}*, {window}\n{plain(sentence(reason(alert)))}")]
    if alert.warned_at is not None:
        details.append(section(_warned(alert, time)))
    if alert.kind == "sensor" and alert.verdict == "broken":
        details.append(section(_history(alert, time)))
    if alert.previous_verdict is not None:
        details.append(section(_correction(alert)))
    if named:
        details.append(section(listed("*Sensors*", sensor_lines(named, alert.names), SENSORS_NAMED)))
    if surroundings(alert):
        details.append(section(plain(surroundings(alert))))
    if smoke_aqi(alert) is not None and alert.rules == "network":
        details.append(context(f"AQI: what a whole day of {rounded(alert.level or 0)} ug/m3 would have."))
    elif smoke_aqi(alert) is not None:
        details.append(
            context(
                f"AQI: what a whole day of {rounded(alert.max_pm25_corrected or 0)} ug/m3 would have, the greatest "
                "reading that EPA's correction covers."
            )
        )
    if (shown := map_link(named)) is not None:
        details.append(context(shown))
    if web_url is not None and alert.kind != "weekly":
        details.append(context(_page_link(alert, web_url, "This window: map, sensors, and why")))
    if dagster_url is not None:
        details.append(context(_window_link(alert, dagster_url, "This window in Dagster")))
    colour = _CATEGORY_COLOURS.get(smoke_category(alert), HEADINGS[alert.verdict].hex_colour)
    return payload(headline(alert), f"{_symbol(alert)} {title(alert)}", colour, details)


def digest_message(alerts: Sequence[Alert], dagster_url: str | None = None, web_url: str | None = None) -> Block:
    """The Slack payload that tells many old windows at once; ``alerts`` are in order of time."""
    first, last = alerts[0], alerts[-1]
    heading = f"{counted(len(alerts), 'older window')} classified"
    span = f"{first.window_start:%Y-%m-%d %H:%M} to {last.window_end:%Y-%m-%d %H:%M} UTC"
    verdicts = Counter(alert.verdict for alert in alerts)
    summary = ", ".join(
        counted(number, HEADINGS[verdict].title, HEADINGS[verdict].plural) for verdict, number in verdicts.most_common()
    )
    details = [section(f"{span}: {summary}.")]
    named = alerts[-DIGEST_LINES:]
    if len(named) < len(alerts):
        details.append(context(f"The newest {len(named)}; {len(alerts) - len(named)} earlier ones are left out."))
    details += [section(text) for text in pages([_digest_line(alert, dagster_url, web_url) for alert in named])]
    if dagster_url is not None:
        details.append(context(f"<{html.escape(_windows_page(dagster_url))}|All windows in Dagster>"))
    return payload(f"{heading}, {span}: {summary}", heading, GREY, details)


def credited(message: Block, source: str, address: str) -> Block:
    """``message`` with a last line that says where the readings are from."""
    shown, *others = message["attachments"]
    line = context(f"Data from <{html.escape(address)}|{name(source)}>")
    return {**message, "attachments": [{**shown, "blocks": [*shown["blocks"], line]}, *others]}


def _correction(alert: Alert) -> str:
    told_at = "" if alert.told_at is None else f" at {alert.told_at:%Y-%m-%d %H:%M} UTC"
    why = "" if alert.told_before is None else f": {plain(alert.told_before)}"
    now = (
        "That no longer holds"
        if alert.verdict == "withdrawn"
        else f"The verdict is now {HEADINGS[alert.verdict].title}"
    )
    return f"*Correction:* this window was told{told_at} as {HEADINGS[alert.previous_verdict or ''].title}{why}. {now}."


def _symbol(alert: Alert) -> str:
    return _CIRCLES.get(smoke_category(alert), HEADINGS[alert.verdict].symbol)


def _digest_line(alert: Alert, dagster_url: str | None, web_url: str | None) -> str:
    """The alert's headline, whose window links to its page: that for people, if there is one."""
    window = linked = _window(alert)
    if web_url is not None:
        linked = _page_link(alert, web_url, window)
    elif dagster_url is not None:
        linked = _window_link(alert, dagster_url, window)
    return f"{_symbol(alert)} {_headline(alert, linked)}"


def _window_link(alert: Alert, dagster_url: str, text: str) -> str:
    """``text`` as a link to the page of the alert's window."""
    address = f"{_windows_page(dagster_url)}&partition={quote(window_key(alert.window_start))}"
    return f"<{html.escape(address)}|{text}>"


def _page_link(alert: Alert, web_url: str, text: str) -> str:
    """``text`` as a link to the page for people that shows the alert's window."""
    return f"<{html.escape(window_address(web_url, alert.region, alert.window_start))}|{text}>"


def _moment_links(alert: Alert, dagster_url: str | None, web_url: str | None) -> list[str]:
    """The links of an alert that tells of now."""
    links = []
    if web_url is not None:
        links.append(f"<{html.escape(now_address(web_url, alert.region))}|The air now: map and sensors>")
    if dagster_url is not None:
        links.append(_conditions_link(dagster_url))
    return links


def _history(alert: Alert, time: LocalTime) -> str:
    """Whether a sensor that broke was told to be broken before."""
    if alert.broke_before is None:
        return "It was not told to be broken before."
    return f"It broke before: in the window from {time.moment(alert.broke_before)}."


def _warned(alert: Alert, time: LocalTime) -> str:
    """What the verdict makes of the early warning of its window."""
    warning = f"the early warning of {time.short(alert.warned_at or alert.window_start)}"
    return f"This confirms {warning}." if alert.verdict == "smoke" else f"This does not confirm {warning}."


def _conditions_link(dagster_url: str) -> str:
    address = f"{dagster_url.rstrip('/')}/assets/conditions"
    return f"<{html.escape(address)}|The air now, in Dagster>"


def _windows_page(dagster_url: str) -> str:
    return f"{dagster_url.rstrip('/')}/assets/regional_windows?view=partitions"


def _window(alert: Alert) -> str:
    return f"{alert.window_start:%Y-%m-%d %H:%M} to {alert.window_end:%H:%M} UTC"
