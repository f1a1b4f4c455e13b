"""What is known of a window's sensors from the windows before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aqi_dagster.pipeline.health.hours import MIN_HOURS, Flags, Floats, positions
from aqi_dagster.windows import WINDOW_LENGTH

REMEMBERED = timedelta(days=14)
"""How far back the ratios to the neighbours are looked at; nothing looks farther."""

RECENT = timedelta(days=7) // WINDOW_LENGTH
"""Windows of the seven days within which a sensor is known, on probation or dead."""

_WINDOWS = REMEMBERED // WINDOW_LENGTH

NONE_REPAIRED: Mapping[str, datetime] = {}

SUSPICIOUS = ["impossible", "flat", "stuck"]
"""Faults that put a sensor on probation."""


@dataclass(frozen=True)
class History:
    """Earlier windows as arrays: a row per sensor, a column per window, the latest first, without any gap.

    ``took_part`` and ``suspicious`` tell whether the sensor took part in the window and had a fault of
    :data:`SUSPICIOUS`. ``max_hour`` is the highest hour mean (ug/m3) of windows in which it took part. ``down`` and
    ``up`` are its ratios to its neighbours. NaN where there is none.
    """

    took_part: Flags
    suspicious: Flags
    max_hour: Floats
    down: Floats
    up: Floats

    @classmethod
    def of(
        cls,
        rows: pa.Table,
        window: datetime,
        sensors: Sequence[str],
        repaired: Mapping[str, datetime] = NONE_REPAIRED,
    ) -> "History":
        """The history of ``sensors`` before ``window`` (start) from ``rows`` of ``sensor_health``, in any order.

        Rows of other sensors, and of windows that are not within :data:`REMEMBERED` before, are left aside. Of a sensor
        that was ``repaired`` at the start of some window, earlier windows only tell that it took part.
        """
        starts = rows["window_start"].to_numpy().astype("datetime64[us]")
        columns = (np.datetime64(window, "us") - starts) // np.timedelta64(WINDOW_LENGTH) - 1
        places = positions(rows["sensor"], sensors)
        counts = (columns >= 0) & (columns < _WINDOWS) & (places >= 0)
        columns, places, rows = columns[counts], places[counts], rows.filter(pa.array(counts))
        begins = np.array([repaired.get(sensor, window - REMEMBERED) for sensor in sensors], "datetime64[us]")
        of_today = starts[counts] >= begins[places]

        def dense(values: Floats) -> Floats:
            filled = np.full((len(sensors), _WINDOWS), np.nan)
            filled[places, columns] = values
            return filled

        def since_repair(name: str) -> Floats:
            return dense(np.where(of_today, _floats(rows[name]), np.nan))

        suspicious = _floats(pc.is_in(rows["fault"], value_set=pa.array(SUSPICIOUS)))
        took_part = dense(_floats(rows["hours"])) >= MIN_HOURS
        return cls(
            took_part=took_part,
            suspicious=dense(suspicious * of_today) == 1,
            max_hour=np.where(took_part, since_repair("max_hour_pm25"), np.nan),
            down=since_repair("ratio_down"),
            up=since_repair("ratio_up"),
        )


def _floats(column: pa.ChunkedArray) -> Floats:
    return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)
