"""Whether our clock can be right: what a pull must not do by a clock that is behind is reject readings for good."""

from datetime import datetime, timedelta

import pyarrow.compute as pc
from duckdb import DuckDBPyConnection

from aqi_dagster.errors import ClockError
from aqi_dagster.pipeline.decoding.decode import Decoded

_AHEAD = """
WITH active AS (
    SELECT last_reading
    FROM sensors
    WHERE last_reading > (SELECT max(last_reading) FROM sensors) - INTERVAL 1 DAY
)
SELECT count(*) FILTER (last_reading > $newest), count(*), median(last_reading)
FROM active
"""


def require_clock(connection: DuckDBPyConnection, now: datetime, future_allowance: timedelta) -> None:
    """Raise :class:`ClockError` if most sensors have already reported later than ``now`` (naive UTC) allows.

    Only sensors that reported in the day before the newest reading are asked: one whose own clock runs ahead is no
    evidence.
    """
    parameters = {"newest": now + future_allowance}
    ((ahead, active, typical),) = connection.execute(_AHEAD, parameters).fetchall()
    if 2 * ahead > active:
        raise ClockError(
            f"The clock of this machine is behind, or was far ahead: it says {now:%Y-%m-%d %H:%M} UTC, but {ahead} of "
            f"{active} sensors have already reported later, half of them after {typical:%Y-%m-%d %H:%M}. Nothing was "
            "pulled. Set the clock right and run again."
        )


def require_timely(decoded: Decoded, now: datetime) -> None:
    """Raise :class:`ClockError` if most messages of a chunk, of most of its sensors, lie in the future of ``now``."""
    future = decoded.rejected.filter(pc.is_valid(decoded.rejected["due_at"]))
    messages = len(decoded.readings) + len(decoded.rejected)
    late_sensors = len(future["key"].unique())
    sensors = late_sensors + len(decoded.readings["sensor"].unique())
    if 2 * len(future) > messages and 2 * late_sensors > sensors:
        latest = pc.max(future["due_at"]).as_py()
        raise ClockError(
            f"{len(future)} of {messages} messages lie in the future, up to {latest:%Y-%m-%d %H:%M} UTC, while the "
            f"clock of this machine says {now:%Y-%m-%d %H:%M} UTC. None of them was kept. Set the clock right, or, if "
            "the producers' clocks run ahead, AQI_FUTURE_ALLOWANCE_MINUTES to more, and run again."
        )
