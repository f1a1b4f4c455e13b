"""The air of a region at a moment: its level over the last three hours, and whether it is smoke, hour by hour back.

All of it is of the twelve blocks of 60 minutes that end at the moment. The level ``back`` hours before the moment is
that of the three blocks that end then; a sensor counts with all three of them.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.health.corrected_hours import SMOKE_PM25, correct_hours
from aqi_dagster.pipeline.health.health_rows import judge_health
from aqi_dagster.pipeline.health.health_table import SensorHealth, read_history, sensor_health
from aqi_dagster.pipeline.health.hours import Floats, Hours, read_hours_before
from aqi_dagster.pipeline.health.known_trouble import read_trouble
from aqi_dagster.windows import WINDOW_LENGTH, window_start

BLOCKS = 3
"""Blocks that a level is made from: fewer would call a barbecue smoke, more would tell smoke later."""

HOUR = timedelta(hours=1)

_BLOCKS = WINDOW_LENGTH // HOUR


@dataclass(frozen=True)
class Present:
    """A region at the moment ``as_of``.

    ``levels`` (corrected PM2.5, ug/m3) and ``smoke`` are those of now, of an hour ago, and so on; None where no healthy
    sensor has all it takes. ``blocks`` are the levels of single blocks, the latest first, and ``reporting`` tells
    whether any sensor, healthy or not, reported in the blocks of a level. ``began`` is when the unbroken smoke of now
    began, None without any; it is ``as_of - WINDOW_LENGTH`` if it may have begun earlier.
    """

    region: str
    as_of: datetime
    levels: list[float | None]
    smoke: list[bool | None]
    blocks: list[float | None]
    reporting: list[bool]
    began: datetime | None
    healthy: list[str]
    broken: list[str]

    @property
    def level(self) -> float | None:
        """The level now."""
        return self.levels[0]

    @property
    def trend(self) -> float | None:
        """How much the level grew in three hours (ug/m3)."""
        now, before = self.levels[0], self.levels[BLOCKS]
        return None if now is None or before is None else now - before

    @property
    def hours_below(self) -> int:
        """For how many hours there has been no smoke; unknown hours are none."""
        return next((back - 1 for back, smoke in enumerate(self.smoke) if smoke is not False), len(self.smoke) - 1)


def judge_present(
    connection: DuckDBPyConnection, as_of: datetime, first_window: datetime, region_of: Callable[[str], str | None]
) -> tuple[list[Present], pa.Table]:
    """Each region at ``as_of``, in order of name, and the health of all sensors in the twelve hours before.

    A sensor whose ``region_of`` is None is not judged. The history is that of the window which is open at ``as_of``:
    whoever took part in the one before is known. Windows before ``first_window`` are no part of it.
    """
    begin = as_of - WINDOW_LENGTH
    hours, history = read_hours_before(connection, as_of), read_history(connection, window_start(as_of), first_window)
    # As if the twelve hours were the open window: what is before it, and what operators know of it, hold for them.
    by = begin - window_start(as_of)
    trouble = read_trouble(connection).shifted(by)
    health = judge_health(begin, hours, _shifted(history, by), region_of, trouble)
    blocks = Hours.of(hours, begin)
    corrected = correct_hours(blocks.mean, blocks.humidity)
    by_region: dict[str, list[int]] = defaultdict(list)
    rows = sensor_health(health)
    for number, row in enumerate(rows):
        if row.region is not None:
            by_region[row.region].append(number)
    presents = [
        _present(region, as_of, [rows[number] for number in numbers], corrected[numbers])
        for region, numbers in sorted(by_region.items())
    ]
    return presents, health


def _shifted(history: pa.Table, by: timedelta) -> pa.Table:
    """``history`` as if all of it had been by so much later."""
    starts = pc.add(history["window_start"], pa.scalar(by, pa.duration("us")))
    return history.set_column(history.column_names.index("window_start"), "window_start", starts)


def _present(region: str, as_of: datetime, rows: Sequence[SensorHealth], corrected: Floats) -> Present:
    healthy = [row.is_healthy for row in rows]
    voting = corrected[np.array(healthy, np.bool_)]
    ends = range(_BLOCKS, BLOCKS - 1, -1)
    found = [_at(voting[:, end - BLOCKS : end]) for end in ends]
    smoke = [is_smoke for _, is_smoke in found]
    return Present(
        region,
        as_of,
        levels=[level for level, _ in found],
        smoke=smoke,
        blocks=[_median(voting[:, block]) for block in reversed(range(_BLOCKS))],
        reporting=[not np.isnan(corrected[:, end - BLOCKS : end]).all() for end in ends],
        began=_began(as_of, voting) if smoke[0] else None,
        healthy=[row.sensor for row, is_healthy in zip(rows, healthy, strict=True) if is_healthy],
        broken=[row.sensor for row in rows if row.fault is not None],
    )


def _at(blocks: Floats) -> tuple[float | None, bool | None]:
    """The level of these blocks, and whether it is smoke: a lone sensor needs that level in each."""
    whole = blocks[~np.isnan(blocks).any(axis=1)]
    if not len(whole):
        return None, None
    level = float(np.median(whole.mean(axis=1)))
    lone = len(whole) == 1
    return level, bool((whole >= SMOKE_PM25).all()) if lone else level >= SMOKE_PM25


def _began(as_of: datetime, voting: Floats) -> datetime:
    """When the blocks at the level of smoke, up to the last ones, began."""
    levels = [_median(voting[:, block]) for block in range(_BLOCKS)]
    smoky = [level is not None and level >= SMOKE_PM25 for level in levels]
    last = max((block for block in range(_BLOCKS) if smoky[block]), default=_BLOCKS - BLOCKS)
    first = next((block + 1 for block in range(last, -1, -1) if not smoky[block]), 0)
    return as_of - (_BLOCKS - min(first, last)) * HOUR


def _median(block: Floats) -> float | None:
    known = block[~np.isnan(block)]
    return float(np.median(known)) if len(known) else None
