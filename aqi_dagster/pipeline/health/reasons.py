"""What the rules find out about a sensor, in one plain sentence each."""

from collections.abc import Callable
from datetime import timedelta

import numpy as np

from aqi_dagster.pipeline.health.findings import Findings
from aqi_dagster.pipeline.health.hours import MIN_HOURS
from aqi_dagster.pipeline.health.own_faults import DISAGREEING_PM25, DISAGREEING_SHARE, lasers
from aqi_dagster.pipeline.health.ratios import RATIOS
from aqi_dagster.pipeline.numbers import rounded
from aqi_dagster.windows import WINDOW_LENGTH

_DAYS = ["no", "one", "two", "three", "four", "five", "six", "seven"]


def reasons(findings: Findings) -> list[str | None]:
    """A sentence for each sensor of which there is anything to say; None for one that is healthy."""
    comparison, votes = findings.comparison, findings.votes
    healthy = comparison.healthy & ~findings.ratios.unlike
    sentences: list[str | None] = [None] * len(healthy)
    for row in np.flatnonzero(~healthy).tolist():
        if fault := str(findings.fault[row]):
            sentences[row] = _FAULTS[fault](findings, row)
        elif comparison.local[row]:
            sentences[row] = _local(findings, row)
        elif comparison.in_dispute[row]:
            other = comparison.lower[row]
            sentences[row] = (
                f"Read {_number(findings, row)} where the only other sensor read {rounded(other)}: one is wrong."
            )
        elif findings.ratios.unlike[row]:
            sentences[row] = _unlike(findings, row)
        elif votes.on_probation[row]:
            sentences[row] = "Looks right, but had failed in the seven days before, and so has no vote yet."
        elif votes.new[row]:
            sentences[row] = "Is new: it took part in no window of the seven days before, and so has no vote yet."
        elif findings.known[row].is_excluded:
            sentences[row] = f"Is {findings.known[row].text}."
        elif findings.judged_as[row] != findings.hours.sensors[row]:
            sentences[row] = f"Is the same sensor as {findings.judged_as[row]}, which is judged in its place."
        elif findings.regions[row] is None:
            sentences[row] = "Its region is not known yet, so it was not judged."
        else:
            hours = findings.hours.count[row]
            sentences[row] = f"Reported in {hours} of the window's hours, and takes part from {MIN_HOURS} on."
    return sentences


def _disagree(findings: Findings, row: int) -> str:
    hours = findings.hours
    gap, middle = lasers(hours)
    apart = int(np.count_nonzero((gap[row] > DISAGREEING_PM25) & (gap[row] > DISAGREEING_SHARE * middle[row])))
    both = int(np.count_nonzero(~np.isnan(gap[row])))
    worst = int(np.nanargmax(gap[row]))
    return (
        f"Its two lasers disagree in {apart} of {both} hours, such as {rounded(hours.mean[row, worst])} and "
        f"{rounded(hours.second[row, worst])} ug/m3."
    )


def _impossible(findings: Findings, row: int) -> str:
    return f"Read up to {rounded(findings.hours.highest[row])} ug/m3, far more than a sensor can measure."


def _flat(_: Findings, __: int) -> str:
    return "Counts as many particles below 1 um as below 10: its laser has failed."


def _stuck(findings: Findings, row: int) -> str:
    least, greatest = findings.hours.least[row], findings.hours.greatest[row]
    if least == greatest:
        return f"Read {least:,.2f} ug/m3 and nothing else: it is stuck."
    return f"Read {_number(findings, row)} ug/m3 hour after hour, within one percent: air does not stay like that."


def _dead(findings: Findings, row: int) -> str:
    days = int((findings.own_faults.silent[row] + 1) * WINDOW_LENGTH / timedelta(days=1))
    reached = rounded(findings.own_faults.reached[row])
    return f"Has read below 1 for {_DAYS[days]} days while its neighbours reached {reached}."


def _known(findings: Findings, row: int) -> str:
    return f"Is known to be {findings.known[row].text}."


def _low(findings: Findings, row: int) -> str:
    return f"Read {_number(findings, row)} where its neighbours read {rounded(findings.comparison.lower[row])}."


def _high(findings: Findings, row: int) -> str:
    return f"Read {_number(findings, row)} where its neighbours read {rounded(findings.comparison.upper[row])}."


def _local(findings: Findings, row: int) -> str:
    witness = "another sensor nearby does too" if findings.comparison.near[row] else "both of its lasers agree"
    neighbours = rounded(findings.comparison.upper[row])
    return f"Read {_number(findings, row)} where its neighbours read {neighbours}, and {witness}: smoke, but local."


def _unlike(findings: Findings, row: int) -> str:
    ratios = findings.ratios
    usual = ratios.usual_up[row] if ratios.rising[row] else ratios.usual_down[row]
    return f"Has read {usual:.2g} times as much as its neighbours, by the middle of its last {RATIOS} windows."


def _number(findings: Findings, row: int) -> str:
    return rounded(findings.hours.average[row])


_FAULTS: dict[str, Callable[[Findings, int], str]] = {
    "disagree": _disagree,
    "impossible": _impossible,
    "flat": _flat,
    "stuck": _stuck,
    "dead": _dead,
    "low": _low,
    "high": _high,
    "known": _known,
}
