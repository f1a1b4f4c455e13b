"""The table ``sensor_health``: what each sensor read in a window, and whether to believe it. Nothing else writes it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import pyarrow as pa
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.health.history import REMEMBERED
from aqi_dagster.pipeline.health.hours import MIN_HOURS
from aqi_dagster.pipeline.store.sql import Writer, registered
from aqi_dagster.windows import WindowRange

Fault = Literal["disagree", "impossible", "flat", "stuck", "dead", "low", "high", "known"]

HEALTH_SCHEMA = pa.schema(
    [
        ("sensor", pa.string()),
        ("window_start", pa.timestamp("us")),
        ("region", pa.string()),
        ("hours", pa.int32()),
        ("mean_pm25", pa.float64()),
        ("max_hour_pm25", pa.float64()),
        ("corrected_pm25", pa.float64()),
        ("hours_above_35", pa.int32()),
        ("neighbours_pm25", pa.float64()),
        ("ratio_down", pa.float64()),
        ("ratio_up", pa.float64()),
        ("fault", pa.string()),
        ("unlike_neighbours", pa.bool_()),
        ("is_new", pa.bool_()),
        ("on_probation", pa.bool_()),
        ("in_dispute", pa.bool_()),
        ("is_local", pa.bool_()),
        ("reason", pa.string()),
        ("known_trouble", pa.string()),
        ("repaired_at", pa.timestamp("us")),
    ]
)
"""The columns of the table, in order."""

_PROVENANCE = pa.schema(
    [HEALTH_SCHEMA.field(name) for name in ("sensor", "window_start", "region", "known_trouble", "repaired_at")]
)

_JUDGED_AS = """
SELECT sensor, window_start, region, known_trouble, repaired_at
FROM sensor_health
WHERE window_start BETWEEN $first AND $last
ORDER BY window_start, sensor
"""

_HISTORY = """
SELECT sensor, window_start, hours, max_hour_pm25, fault, ratio_down, ratio_up
FROM sensor_health
WHERE window_start >= greatest($window - $remembered, $first_window) AND window_start < $window
"""

_MISSING = """
SELECT window_start
FROM windows ANTI JOIN sensor_health USING (window_start)
WHERE
    window_start >= greatest($window - $remembered, $first_window)
    AND window_start < $window
    AND windows.readings > 0
ORDER BY window_start
"""


@dataclass(frozen=True)
class SensorHealth:
    """One sensor in one window, in the order and meaning of the columns of ``sensor_health``."""

    sensor: str
    window_start: datetime
    region: str | None
    hours: int
    mean_pm25: float
    max_hour_pm25: float
    corrected_pm25: float
    hours_above_35: int
    neighbours_pm25: float | None
    ratio_down: float | None
    ratio_up: float | None
    fault: Fault | None
    unlike_neighbours: bool
    is_new: bool
    on_probation: bool
    in_dispute: bool
    is_local: bool
    reason: str | None
    known_trouble: str | None = None
    repaired_at: datetime | None = None

    @property
    def is_healthy(self) -> bool:
        """Whether it has a vote in the verdict on its region."""
        without_vote = self.is_new or self.on_probation or self.in_dispute or self.is_local or self.unlike_neighbours
        return self.region is not None and self.hours >= MIN_HOURS and self.fault is None and not without_vote


def sensor_health(table: pa.Table) -> list[SensorHealth]:
    """The rows of a ``table`` of :data:`HEALTH_SCHEMA`, in its order."""
    return [SensorHealth(**row) for row in table.select(HEALTH_SCHEMA.names).to_pylist()]


def read_health(connection: DuckDBPyConnection, window: datetime) -> list[SensorHealth]:
    """The health of all sensors that reported in ``window`` (start), in order of their text."""
    rows = connection.sql("FROM sensor_health WHERE window_start = $window ORDER BY sensor", params={"window": window})
    return sensor_health(rows.to_arrow_table())


def health_by_window(connection: DuckDBPyConnection, windows: WindowRange) -> dict[datetime, list[SensorHealth]]:
    """The health of all sensors that reported in ``windows``, by window (start), in order of their text."""
    rows = connection.sql(
        "FROM sensor_health WHERE window_start BETWEEN $first AND $last ORDER BY sensor", params=windows.bounds
    )
    health: dict[datetime, list[SensorHealth]] = {start: [] for start in windows}
    for row in sensor_health(rows.to_arrow_table()):
        health[row.window_start].append(row)
    return health


def read_history(connection: DuckDBPyConnection, window: datetime, first_window: datetime) -> pa.Table:
    """What judging ``window`` (start) needs of the windows before it, in no order.

    Windows before ``first_window`` are no part of any result.
    """
    parameters = {"window": window, "remembered": REMEMBERED, "first_window": first_window}
    return connection.sql(_HISTORY, params=parameters).to_arrow_table()


def windows_without_health(connection: DuckDBPyConnection, window: datetime, first_window: datetime) -> list[datetime]:
    """Windows (starts) that :func:`read_history` looks back to, and that hold readings but were never judged."""
    parameters = {"window": window, "remembered": REMEMBERED, "first_window": first_window}
    return [start for (start,) in connection.execute(_MISSING, parameters).fetchall()]


def judged_as(connection: DuckDBPyConnection, windows: WindowRange) -> pa.Table:
    """How the stored health of ``windows`` was judged: what :func:`as_judged` returns of it, in the same order."""
    rows = connection.sql(_JUDGED_AS, params=windows.bounds)
    return rows.to_arrow_table().cast(_PROVENANCE)


def as_judged(health: pa.Table) -> pa.Table:
    """How the sensors of a table of :data:`HEALTH_SCHEMA` were judged: in which region, and knowing what."""
    return health.select(_PROVENANCE.names)


def drop_health_before(writer: Writer, first_window: datetime) -> None:
    """Drop the health of windows before ``first_window``; the caller has begun a transaction."""
    writer.execute("DELETE FROM sensor_health WHERE window_start < ?", [first_window])


def overwrite_health(writer: Writer, windows: WindowRange, health: pa.Table) -> None:
    """Have ``sensor_health`` hold for ``windows`` just the rows of ``health``; the caller has begun a transaction."""
    writer.execute("DELETE FROM sensor_health WHERE window_start BETWEEN $first AND $last", windows.bounds)
    with registered(writer, "health", health):
        writer.execute("INSERT INTO sensor_health BY NAME FROM health")
