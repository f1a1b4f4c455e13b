"""The table ``regional_hours``: the level of each region hour by hour. This module alone writes it.

The hours of a window whose sensors' health was judged follow from that alone. Those of a window that is still open are
what a look at it made of them, until it is judged.
"""

from datetime import datetime

import pyarrow as pa

from aqi_dagster.pipeline.health.corrected_hours import correct_hours
from aqi_dagster.pipeline.health.hours import read_hours
from aqi_dagster.pipeline.store.sql import Writer, registered
from aqi_dagster.windows import WindowRange

# Who is healthy is what SensorHealth.is_healthy says.
_INSERT = """
INSERT INTO regional_hours BY NAME
SELECT region, hour, median(corrected) AS level, count(*)::INTEGER AS healthy
FROM hour_means JOIN judged USING (sensor, window_start)
WHERE
    hour < $end
    AND region IS NOT NULL
    AND hours >= 6
    AND fault IS NULL
    AND NOT (is_new OR on_probation OR in_dispute OR is_local OR unlike_neighbours)
GROUP BY region, hour
ORDER BY hour, region
"""


def overwrite_regional_hours(writer: Writer, windows: WindowRange, hours: pa.Table, health: pa.Table) -> None:
    """Have ``regional_hours`` hold for ``windows`` what follows from the ``hours`` and the ``health`` of their sensors.

    ``hours`` has the columns of :func:`hours.read_hours`. The caller has begun a transaction.
    """
    writer.execute("DELETE FROM regional_hours WHERE hour >= ? AND hour < ?", [windows.first, windows.end])
    _insert(writer, hours, health, windows.end)


def overwrite_open_hours(writer: Writer, windows: WindowRange, end: datetime, health: pa.Table) -> None:
    """Have ``regional_hours`` hold the hours of ``windows``, the last ones, that are over by ``end``.

    The ``health`` of the twelve hours before ``end`` stands for theirs. The caller has begun a transaction.
    """
    begin = windows.first
    hours = read_hours(writer, windows)
    writer.execute("DELETE FROM regional_hours WHERE hour >= ?", [begin])
    over = end.replace(minute=0, second=0, microsecond=0)
    _insert(writer, _of_window(hours, begin), _of_window(health, begin), over)


def drop_hours_before(writer: Writer, first_window: datetime) -> None:
    """Drop the hours before ``first_window``, which another first window left."""
    writer.execute("DELETE FROM regional_hours WHERE hour < ?", [first_window])


def _of_window(table: pa.Table, start: datetime) -> pa.Table:
    """``table`` as if all of it were of the window that begins at ``start``."""
    starts = pa.repeat(pa.scalar(start, pa.timestamp("us")), table.num_rows)
    return table.set_column(table.column_names.index("window_start"), "window_start", starts)


def _insert(writer: Writer, hours: pa.Table, health: pa.Table, end: datetime) -> None:
    corrected = correct_hours(hours["mean_pm25"].to_numpy(), hours["humidity"].to_numpy())
    with (
        registered(writer, "hour_means", hours.append_column("corrected", pa.array(corrected))),
        registered(writer, "judged", health),
    ):
        writer.execute(_INSERT, {"end": end})
