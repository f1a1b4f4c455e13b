"""The health of every sensor in a window, as rows of ``sensor_health``, by rules A to D of the network rules.

Pure: equal hours and history give equal rows, whatever order they come in. ``findings`` has the rules one after the
other; ``network_rules`` has what follows for a region.
"""

from collections.abc import Callable
from datetime import datetime

import numpy as np
import pyarrow as pa

from aqi_dagster.pipeline.health.corrected_hours import SMOKE_PM25
from aqi_dagster.pipeline.health.findings import Findings, examine
from aqi_dagster.pipeline.health.health_table import HEALTH_SCHEMA
from aqi_dagster.pipeline.health.history import History
from aqi_dagster.pipeline.health.hours import Hours
from aqi_dagster.pipeline.health.known_trouble import NO_TROUBLE, KnownTrouble
from aqi_dagster.pipeline.health.reasons import reasons


def judge_health(
    window: datetime,
    hours: pa.Table,
    history: pa.Table,
    region_of: Callable[[str], str | None],
    trouble: KnownTrouble = NO_TROUBLE,
) -> pa.Table:
    """The health in ``window`` (start) of all sensors that reported, in order of their text (:data:`HEALTH_SCHEMA`).

    ``hours`` is what :func:`hours.read_hours` returns of this window, and maybe of others; ``history`` has the columns
    of :func:`sensor_health.read_history`, and at least its rows. A sensor whose ``region_of`` is None is neither judged
    nor compared: its row only says what it read. Nor is one that ``trouble`` excludes.
    """
    by_hour = Hours.of(hours, window)
    sensors = by_hour.sensors
    known = [trouble.at(sensor, window) for sensor in sensors]
    repaired = {sensor: one.repaired_at for sensor, one in zip(sensors, known, strict=True) if one.repaired_at}
    regions = [None if one.is_excluded else region_of(sensor) for sensor, one in zip(sensors, known, strict=True)]
    return _rows(window, examine(by_hour, History.of(history, window, sensors, repaired), regions, known))


def _rows(window: datetime, findings: Findings) -> pa.Table:
    by_hour = findings.hours
    columns = {
        "sensor": by_hour.sensors,
        "window_start": [window] * len(by_hour.sensors),
        "region": findings.regions,
        "hours": by_hour.count,
        "mean_pm25": by_hour.average,
        "max_hour_pm25": by_hour.highest,
        "corrected_pm25": by_hour.average_of(findings.corrected),
        "hours_above_35": np.count_nonzero(findings.corrected >= SMOKE_PM25, axis=1),
        "neighbours_pm25": findings.ratios.neighbours,
        "ratio_down": findings.ratios.down,
        "ratio_up": findings.ratios.up,
        "fault": [fault or None for fault in findings.fault.tolist()],
        "unlike_neighbours": findings.ratios.unlike,
        "is_new": findings.votes.new,
        "on_probation": findings.votes.on_probation,
        "in_dispute": findings.comparison.in_dispute,
        "is_local": findings.comparison.local,
        "reason": reasons(findings),
        "known_trouble": [one.text for one in findings.known],
        "repaired_at": [one.repaired_at for one in findings.known],
    }
    # From NumPy a number that is missing comes as NaN.
    arrays = [pa.array(columns[field.name], field.type, from_pandas=True) for field in HEALTH_SCHEMA]
    return pa.table(arrays, schema=HEALTH_SCHEMA)
