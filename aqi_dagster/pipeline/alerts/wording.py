"""Alerts in plain words: the verdict, its reason, and the readings of the region's other sensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from statistics import median

from aqi_dagster.pipeline.aqi import category
from aqi_dagster.pipeline.numbers import counted, rounded
from aqi_dagster.pipeline.verdicts.notebook_rules import MAX_VARIATION, MIN_ANOMALIES
from aqi_dagster.pipeline.verdicts.outbox.due_alerts import Alert
from aqi_dagster.pipeline.verdicts.regional_window import RegionalWindow
from aqi_dagster.sensors import devices

MAX_NAME = 100
"""Characters of a region's or sensor's name that are shown."""

NAMED_IN_SENTENCE = 3
"""Sensors that a sentence names one by one."""

STEADY = 5.0
"""Change of a level within three hours, in ug/m3, that is none worth telling."""

WEEKLY_NAMED = 20
"""Broken sensors that the weekly list names one by one."""


@dataclass(frozen=True)
class Heading:
    """How messages show a verdict; ``symbol`` is the name of one of Slack's emoji."""

    title: str
    plural: str
    hex_colour: str
    symbol: str


GREY = "#5f6368"

_BROWN = "#9a6b00"

HEADINGS = {
    "smoke": Heading("Suspected Smoke Event", "Suspected Smoke Events", "#b3261e", ":fire:"),
    "malfunction": Heading("Malfunctioning Sensor", "Malfunctioning Sensors", _BROWN, ":wrench:"),
    "undecided": Heading("Perhaps Smoke, Undecided", "Undecided Windows", GREY, ":grey_question:"),
    "withdrawn": Heading("Alert Withdrawn", "Alerts Withdrawn", GREY, ":white_circle:"),
    "broken": Heading("Broken Sensor", "Broken Sensors", _BROWN, ":wrench:"),
    "early": Heading("Smoke Now", "Early Warnings", "#b3261e", ":fire:"),
    "ongoing": Heading("Smoke Goes On", "Reports of Smoke that Goes On", "#b3261e", ":fire:"),
    "clear": Heading("All Clear", "All Clears", "#1e7d32", ":white_check_mark:"),
    "unconfirmed": Heading("Early Warning Withdrawn", "Early Warnings Withdrawn", GREY, ":white_circle:"),
    "muted": Heading("Muted", "Mutes", GREY, ":mute:"),
    "well": Heading("Sensor Well Again", "Sensors Well Again", "#1e7d32", ":white_check_mark:"),
}
"""The heading of each verdict of an alert."""

_OF_KINDS = {"early": "early", "ongoing": "ongoing", "all_clear": "clear", "muted": "muted"}
"""The heading of each kind of alert that tells of now."""

DOUBTFUL = "Suspected Smoke, Doubtful"


def story(window: RegionalWindow) -> str:
    """The verdict, its reason and its surroundings: what the window's page and the log show."""
    named = window.healthy_sensors if window.rules == "network" else window.sensors
    verdict = f"{title(window)}: {reason(window)}. {_some('Sensors', named or window.broken_sensors or [])}."
    return f"{verdict} {surroundings(window)}".rstrip()


def heading(alert: Alert | RegionalWindow) -> Heading:
    """How the alert is shown: by its verdict, or by its kind where it tells of now."""
    if isinstance(alert, Alert) and alert.as_of is not None:
        return HEADINGS["unconfirmed" if alert.verdict == "withdrawn" else _OF_KINDS[alert.kind]]
    return HEADINGS[alert.verdict]


def title(alert: Alert | RegionalWindow) -> str:
    """What the verdict is called; smoke that only failed sensors saw is doubtful."""
    return DOUBTFUL if is_doubtful(alert) else heading(alert).title


def is_doubtful(alert: Alert | RegionalWindow) -> bool:
    """Whether the notebook rules say smoke although every sensor that saw it has a fault."""
    witnesses = set(alert.sensors or [])
    by_anomalies = alert.verdict == "smoke" and alert.rules != "network"
    return by_anomalies and bool(witnesses) and witnesses <= set(alert.broken_sensors or [])


def reason(alert: Alert | RegionalWindow) -> str:
    """Why the verdict is what it is, by the rule that decided it."""
    if isinstance(alert, Alert) and alert.kind == "weekly":
        return _some(counted(len(alert.implausible or []), "sensor"), alert.implausible or [], WEEKLY_NAMED)
    if alert.verdict == "withdrawn" and isinstance(alert, Alert) and alert.kind == "sensor":
        return "judged anew, it neither broke nor was well again in this window"
    if alert.verdict == "well":
        return "no fault in the last two windows in which it took part"
    if alert.reason is not None:
        return f"{alert.reason[0].lower()}{alert.reason[1:]}".rstrip(".")
    if alert.sensors is None or alert.min_event is None:
        return "no anomaly of this region is in the window any more"
    sensors = counted(len(devices(alert.sensors)), "sensor")
    facts = (
        f"{sensors}, {counted(alert.count_anomalies or 0, 'anomaly', 'anomalies')} "
        f"since {alert.min_event:%H:%M}, up to {rounded(alert.max_pm25 or 0)} ug/m3"
    )
    if alert.verdict == "smoke":
        aqi = smoke_aqi(alert)
        index = "" if aqi is None else f", AQI {_index(aqi)} '{smoke_category(alert)}'"
        if is_doubtful(alert):
            return f"{facts}{index}; {_failed(alert)}"
        steady = "" if alert.variation is None else f"; its readings are steady (variation {alert.variation:.2f})"
        return f"{facts}{index}{steady}"
    if alert.variation is None:
        return f"{facts}: too few for smoke ({MIN_ANOMALIES} or more)"
    if isnan(alert.variation):
        return f"{facts}: its readings are too large to be compared"
    return f"{facts}: its readings scatter (variation {_above(alert.variation, MAX_VARIATION)} > {MAX_VARIATION})"


def present_air(alert: Alert) -> str:
    """The air at the moment that an alert tells of: level, trend, index, and since when."""
    if alert.level is None:
        return "The level is not known now."
    level = f"{rounded(alert.level)} ug/m3 (EPA-corrected) over the last three hours"
    if alert.trend is not None:
        change = "hardly changed" if abs(alert.trend) < STEADY else "rising" if alert.trend > 0 else "falling"
        by = "" if change == "hardly changed" else f" by {rounded(abs(alert.trend))}"
        level = f"{level}, {change}{by} since three hours before"
    if alert.aqi_of_nowcast is not None:
        index = alert.aqi_of_nowcast
        level = f"{level}; AQI by NowCast {_index(index)} '{category(index).name}'"
    return f"{level}."


def _failed(alert: Alert | RegionalWindow) -> str:
    """That every sensor that saw smoke has failed, and what is the matter with the first ones."""
    faults = [
        text.partition(": ")[2].rstrip(".")
        for sensor in alert.sensors or []
        for text in alert.implausible or []
        if text.startswith(f"{sensor}: ")
    ]
    subject = "the only sensor has failed" if len(alert.sensors or []) == 1 else "all of these sensors have failed"
    return f"{subject} ({'; '.join(faults[:NAMED_IN_SENTENCE])})" if faults else subject


def surroundings(alert: Alert | RegionalWindow) -> str:
    """How far it reaches and whether to believe it: what the region's other sensors read, and which are broken.

    Empty where a release that did not store it reached the verdict.
    """
    if alert.others_pm25 is None:
        return ""
    if alert.rules == "network":
        return f"{_some('Not to be believed', alert.implausible)}." if alert.implausible else ""
    others = [rounded(pm25) for pm25 in alert.others_pm25]
    match others:
        case []:
            text = "No other sensor of the region is known to have measured meanwhile."
        case [one]:
            text = f"The region's other sensor read {one} ug/m3 meanwhile."
        case [lowest, *_, highest]:
            text = (
                f"The region's {len(others):,} other sensors read {lowest} to {highest} ug/m3 meanwhile, "
                f"median {rounded(median(alert.others_pm25))}."
            )
    return f"{text} {_some('Not to be believed', alert.implausible)}." if alert.implausible else text


def smoke_aqi(alert: Alert | RegionalWindow) -> int | None:
    """The index, unless the window is a malfunction: what a broken sensor reads says nothing about the air."""
    return alert.aqi_of_max if alert.verdict == "smoke" else None


def smoke_category(alert: Alert | RegionalWindow) -> str:
    """EPA's name for :func:`smoke_aqi`; empty if there is none."""
    return "" if smoke_aqi(alert) is None else alert.aqi_category or ""


def in_one_line(text: str) -> str:
    """A text in one line, cut if it is long."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_NAME else f"{line[: MAX_NAME - 1]}…"


def _index(aqi: int) -> str:
    """The index; what exceeds 500 is what EPA calls beyond the AQI."""
    return "over 500" if aqi > 500 else str(aqi)


def _above(value: float, limit: float) -> str:
    """``value``, greater than ``limit``, with as many decimals (two or more) as it takes to see that it is."""
    texts = (f"{value:.{digits}f}" for digits in range(2, 17))
    return next((text for text in texts if float(text) > limit), str(value))


def _some(title: str, things: Sequence[str], most: int = NAMED_IN_SENTENCE) -> str:
    """The first ``most`` of ``things`` in a line, which hold commas themselves."""
    more = [f"and {len(things) - most} more"] if len(things) > most else []
    named = [in_one_line(thing).rstrip(".") for thing in things[:most]]
    return f"{title}: {'; '.join([*named, *more])}"
