"""Whether our clock can be right: what a pull must not do by a clock that is behind is reject readings for good."""

from datetime import datetime, timedelta

import pyarrow.compute as pc
from duckdb import DuckDBPyConnection

from aqi_dagster.errors import ClockError
from aqi_dagster.pipeline.decoding.decode import Decoded
from aqi_dagster.pipeline.decoding.definition import decode_key
from aqi_dagster.pipeline.readings.silent_sensors import REMEMBERED
from aqi_dagster.sensors import place_of

ACTIVE_FOR = timedelta(days=30)
"""A sensor that fell silent longer ago does not stand against those that are ahead of the clock."""

_AHEAD = """
SELECT count(*) FILTER (last_reading > $newest), count(*), median(last_reading) FILTER (last_reading > $newest)
FROM sensors
WHERE last_reading >= $since
"""

_IN_TIME = """
SELECT sensor
FROM sensors
WHERE last_reading BETWEEN $since AND $newest
"""


def require_clock(connection: DuckDBPyConnection, now: datetime, future_allowance: timedelta) -> None:
    """Raise :class:`ClockError` if most sensors have already reported later than ``now`` (naive UTC) allows.

    A sensor whose own clock runs ahead is no evidence while others report, and may have been believed when ours was
    ahead, too.
    """
    parameters = {"newest": now + future_allowance, "since": now - ACTIVE_FOR}
    ((ahead, active, typical),) = connection.execute(_AHEAD, parameters).fetchall()
    if 2 * ahead > active:
        raise ClockError(
            f"The clock of this machine is behind, or was far ahead: it says {now:%Y-%m-%d %H:%M} UTC, but {ahead} of "
            f"{active} sensors have already reported later, half of them after {typical:%Y-%m-%d %H:%M}. Nothing was "
            "pulled. Set the clock right, or, if the clock is right and was ahead, set AQI_FUTURE_ALLOWANCE_MINUTES to "
            "more for one run, and run again."
        )


def require_timely(
    connection: DuckDBPyConnection, decoded: Decoded, now: datetime, future_allowance: timedelta
) -> None:
    """Raise :class:`ClockError` if most messages of a chunk, and most sensors, lie in the future of ``now``.

    A sensor lies in the future if one of these messages does, and in time if it only has others, or reported in
    the last day.
    """
    newest = now + future_allowance
    future = decoded.rejected.filter(pc.greater(decoded.rejected["due_at"], newest))
    messages = len(decoded.readings) + len(decoded.rejected)
    if 2 * len(future) <= messages:
        return
    late = {decode_key(key) for key in pc.unique(future["key"]).to_pylist()}
    parameters = {"newest": newest, "since": now - REMEMBERED}
    reported = [sensor for (sensor,) in connection.execute(_IN_TIME, parameters).fetchall()]
    in_time = {place_of(sensor) for sensor in [*pc.unique(decoded.readings["sensor"]).to_pylist(), *reported]}
    if len(late) > len(in_time - late):
        latest = pc.max(future["due_at"]).as_py()
        raise ClockError(
            f"{len(future)} of {messages} messages lie in the future, up to {latest:%Y-%m-%d %H:%M} UTC, while the "
            f"clock of this machine says {now:%Y-%m-%d %H:%M} UTC. None of them was kept. Set the clock right, or, if "
            "the producers' clocks run ahead, AQI_FUTURE_ALLOWANCE_MINUTES to more, and run again."
        )
