"""All that is found out about the sensors of a window, as arrays: rules A to D of the network rules, in their order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aqi_dagster.pipeline.health.by_region import Neighbourhoods
from aqi_dagster.pipeline.health.comparison import Comparison, Votes, compare, sort_votes
from aqi_dagster.pipeline.health.corrected_hours import correct_hours
from aqi_dagster.pipeline.health.history import History
from aqi_dagster.pipeline.health.hours import Floats, Hours
from aqi_dagster.pipeline.health.known_trouble import Known
from aqi_dagster.pipeline.health.own_faults import Names, OwnFaults, find_own_faults
from aqi_dagster.pipeline.health.ratios import Ratios, ratios
from aqi_dagster.sensors import devices


@dataclass(frozen=True)
class Findings:
    """Each sensor of a window by all rules; ``regions`` are None where the region is not known, and so nothing else is.

    Of the texts of one device one is judged, ``judged_as``, and the others have no region.
    ``corrected`` are the hour means as EPA corrects them (ug/m3), NaN in hours without readings; ``fault`` is the name
    of a sensor's own fault, or of what the comparison found, or an empty text.
    """

    regions: Sequence[str | None]
    known: Sequence[Known]
    judged_as: Sequence[str]
    hours: Hours
    corrected: Floats
    own_faults: OwnFaults
    votes: Votes
    comparison: Comparison
    ratios: Ratios
    fault: Names


def examine(hours: Hours, history: History, regions: Sequence[str | None], known: Sequence[Known]) -> Findings:
    """Judge the sensors of a window, of all ``regions`` (by sensor, None where not known) at once.

    One that is ``known`` to be broken has a fault, its own one if there is one.
    """
    judged_as = texts_to_judge(hours.sensors, hours.count.tolist(), regions)
    regions = [
        region if text == sensor else None
        for region, text, sensor in zip(regions, judged_as, hours.sensors, strict=True)
    ]
    neighbourhoods = Neighbourhoods.of(regions)
    known_broken = np.array([one.is_broken for one in known], np.bool_)
    own_faults = find_own_faults(hours, history, neighbourhoods, known_broken)
    votes = sort_votes(hours, history, neighbourhoods, own_faults)
    comparison = compare(hours, neighbourhoods, votes)
    return Findings(
        regions,
        known,
        judged_as,
        hours,
        corrected=correct_hours(hours.mean, hours.humidity),
        own_faults=own_faults,
        votes=votes,
        comparison=comparison,
        ratios=ratios(hours.average, history, neighbourhoods, votes, comparison),
        fault=np.select(
            [own_faults.name != "", comparison.low, comparison.high & ~comparison.local],
            [own_faults.name, "low", "high"],
            "",
        ),
    )


def texts_to_judge(sensors: Sequence[str], hours: Sequence[int], regions: Sequence[str | None]) -> list[str]:
    """For each of ``sensors`` the text under which its device is judged: the one with a region that has most ``hours``.

    Else a device that comes under two texts would bear itself out, and outvote another device.
    """
    row_of = {sensor: row for row, sensor in enumerate(sensors)}
    judged_as = list(sensors)
    for texts in devices(sensors):
        best = max(texts, key=lambda text: (regions[row_of[text]] is not None, hours[row_of[text]]))
        for text in texts:
            judged_as[row_of[text]] = best
    return judged_as
