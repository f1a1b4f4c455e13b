"""What an alert says that tells of now: an early warning, smoke that goes on, the all clear."""

from aqi_dagster.pipeline.alerts.local_time import LocalTime
from aqi_dagster.pipeline.alerts.markup import (
    Block,
    context,
    listed,
    map_link,
    name,
    payload,
    plain,
    section,
    sensor_lines,
)
from aqi_dagster.pipeline.alerts.wording import GREY, heading, present_air, title
from aqi_dagster.pipeline.aqi import CATEGORIES, category
from aqi_dagster.pipeline.numbers import counted
from aqi_dagster.pipeline.verdicts.outbox.due_alerts import Alert

SENSORS_NAMED = 10
"""Sensors that a message names one by one."""

_COLOURS = {one.name: one.hex_colour for one in CATEGORIES}


def moment_headline(alert: Alert, zone: str | None = None) -> str:
    """The alert in one line."""
    time = _time(alert, zone)
    return f"{title(alert)} in {name(alert.region)}, {time.moment(alert.as_of or alert.window_start)}: {_short(alert)}"


def moment_message(alert: Alert, links: list[str], zone: str | None = None) -> Block:
    """The Slack payload that tells ``alert``; ``links`` are further ones to show."""
    time = _time(alert, zone)
    as_of = alert.as_of or alert.window_start
    if alert.kind == "muted":
        return _muted(alert, moment_headline(alert, zone), time.moment(as_of))
    details = [section(f"*{name(alert.region)}*, {time.moment(as_of)}\n{plain(present_air(alert))}")]
    if alert.since is not None:
        details.append(section(f"{_SINCE[alert.kind]} {time.moment(alert.since)}. {plain(alert.reason or '')}"))
    if alert.healthy_sensors:
        lines = sensor_lines(alert.healthy_sensors, alert.names)
        details.append(section(listed("*Judged by*", lines, SENSORS_NAMED)))
    if alert.broken_sensors:
        since = {
            sensor: f"since {moment:%Y-%m-%d %H:%M} UTC"
            for sensor, moment in alert.broken_since.items()
            if sensor in alert.broken_sensors
        }
        lines = sensor_lines(alert.broken_sensors, alert.names, since)
        details.append(section(listed("*Broken, and not counted*", lines, SENSORS_NAMED)))
    details.append(section(_next(alert, time)))
    shown_on_map = map_link([*(alert.healthy_sensors or []), *(alert.broken_sensors or [])])
    details += [context(link) for link in [shown_on_map, *links] if link is not None]
    shown = heading(alert)
    colour = GREY if alert.aqi_of_nowcast is None else _COLOURS[category(alert.aqi_of_nowcast).name]
    if alert.kind == "all_clear":
        colour = shown.hex_colour
    return payload(moment_headline(alert, zone), f"{shown.symbol} {shown.title}", colour, details)


def _muted(alert: Alert, text: str, moment: str) -> Block:
    shown = heading(alert)
    details = [
        section(f"*{name(alert.region)}*, {moment}\n{plain(alert.reason or '')}."),
        section("While it is muted, smoke in this region is recorded, and not told."),
    ]
    return payload(text, f"{shown.symbol} {shown.title}", shown.hex_colour, details)


_SINCE = {"early": "Since about", "ongoing": "Since about", "all_clear": "Clear since about"}


def _short(alert: Alert) -> str:
    if alert.verdict == "withdrawn":
        return "its window has ended without a verdict of smoke"
    if alert.kind == "muted":
        return plain(alert.reason or "")
    if alert.level is None:
        return "the level is not known now"
    sensors = counted(len(alert.healthy_sensors or []), "healthy sensor")
    return f"{alert.level:,.0f} ug/m3 over the last three hours, by {sensors}"


def _next(alert: Alert, time: LocalTime) -> str:
    """What happens next, and when."""
    closes = f"The window closes at {time.short(alert.window_end)}; its verdict is told then."
    if alert.kind == "all_clear":
        return "If smoke comes, you are warned anew."
    return f"{closes} You are told when the air has been clear for six hours."


def _time(alert: Alert, zone: str | None) -> LocalTime:
    return LocalTime.of([*(alert.healthy_sensors or []), *(alert.broken_sensors or [])], zone)
