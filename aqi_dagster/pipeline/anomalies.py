"""Anomalies: the scored readings above both thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.database import transaction


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
    """Write the anomalies of ``windows`` (starts, ascending), each window in one transaction; counts by window."""
    bounds = {"first": windows[0], "last": windows[-1]}
    limits = {"score": thresholds.score, "pm25": thresholds.pm25}
    counts = dict(
        connection.execute(
            "SELECT window_start, count(*) FROM scored_readings "
            "WHERE window_start BETWEEN $first AND $last AND score > $score AND pm25_cf1 > $pm25 GROUP BY ALL",
            bounds | limits,
        ).fetchall()
    )
    held = connection.execute(
        "SELECT DISTINCT window_start FROM anomalies WHERE window_start BETWEEN $first AND $last", bounds
    ).fetchall()
    for start in sorted(set(windows) & (counts.keys() | {row[0] for row in held})):
        with transaction(connection):
            connection.execute("DELETE FROM anomalies WHERE window_start = ?", [start])
            connection.execute(
                "INSERT INTO anomalies BY NAME SELECT sensor, created_at, window_start, pm25_cf1, score "
                "FROM scored_readings WHERE window_start = $start AND score > $score AND pm25_cf1 > $pm25 "
                "ORDER BY sensor, created_at",
                {"start": start} | limits,
            )
    return {start: counts.get(start, 0) for start in windows}
