"""Anomalies: the scored readings above both thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.sql import transaction


@dataclass(frozen=True)
class Thresholds:
    """A scored reading is an anomaly if it exceeds both; the defaults are the notebook's.

    ``score`` is without unit (0 to 1), ``pm25`` in ug/m3.
    """

    score: float = 0.7
    pm25: float = 50.0


def select_anomalies(
    connection: DuckDBPyConnection, windows: Sequence[datetime], thresholds: Thresholds
) -> dict[datetime, int]:
    """Write the anomalies of ``windows`` (starts, consecutive) in one transaction; counts by window."""
    span = {"first": windows[0], "last": windows[-1]}
    with transaction(connection):
        connection.execute("DELETE FROM anomalies WHERE window_start BETWEEN $first AND $last", span)
        connection.execute(
            "INSERT INTO anomalies BY NAME SELECT sensor, created_at, window_start, pm25_cf1, score "
            "FROM scored_readings WHERE window_start BETWEEN $first AND $last AND score > $score AND pm25_cf1 > $pm25 "
            "ORDER BY window_start, sensor, created_at",
            span | {"score": thresholds.score, "pm25": thresholds.pm25},
        )
        connection.execute("UPDATE windows SET selected = revision WHERE window_start BETWEEN $first AND $last", span)
    counts = dict(
        connection.execute(
            "SELECT window_start, count(*) FROM anomalies WHERE window_start BETWEEN $first AND $last GROUP BY ALL",
            span,
        ).fetchall()
    )
    return {start: counts.get(start, 0) for start in windows}
