"""Numbers of each window, which Dagster plots over time: one statement for all windows of a run.

Each function returns, by window (start), the numbers by name; a window without rows is left out.
"""

from datetime import datetime
from typing import Any

import pyarrow as pa
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.detection.anomalies import Thresholds
from aqi_dagster.pipeline.store.sql import registered
from aqi_dagster.sensors import devices
from aqi_dagster.windows import WindowRange

Numbers = dict[datetime, dict[str, Any]]


def reading_numbers(connection: DuckDBPyConnection, windows: WindowRange, since: datetime) -> Numbers:
    """Of ``readings``: rows, repeated ones among them, sensors, rows ingested from ``since`` on, and late readings.

    Late readings came after their window was scored, and wait for the next scoring.
    """
    return _by_window(
        connection,
        """
        SELECT window_start, rows, repeated_readings, sensors, new_readings, greatest(readings - scored, 0)
            AS late_readings
        FROM (
            SELECT
                window_start,
                count(*) AS rows,
                count(*) FILTER (repeated) AS repeated_readings,
                count(DISTINCT coalesce(device, sensor)) AS sensors,
                count(*) FILTER (ingested_at >= $since AND NOT repeated) AS new_readings
            FROM readings LEFT JOIN texts USING (sensor)
            WHERE window_start BETWEEN $first AND $last
            GROUP BY window_start
        ) LEFT JOIN windows USING (window_start)
        """,
        windows,
        since=since,
    )


def score_numbers(connection: DuckDBPyConnection, windows: WindowRange, thresholds: Thresholds) -> Numbers:
    """Of ``scored_readings``: greatest score, greatest PM2.5 (ug/m3), and readings that exceed both ``thresholds``."""
    return _by_window(
        connection,
        """
        SELECT
            window_start,
            max(score) AS max_score,
            max(pm25_cf1) AS max_pm25,
            count(*) FILTER (score > $score AND pm25_cf1 > $pm25) AS above_thresholds
        FROM scored_readings
        WHERE window_start BETWEEN $first AND $last
        GROUP BY window_start
        """,
        windows,
        score=thresholds.score,
        pm25=thresholds.pm25,
    )


def health_numbers(connection: DuckDBPyConnection, windows: WindowRange) -> Numbers:
    """Of ``sensor_health``: rows, sensors that take part, and those with a fault, without a vote, or local."""
    return _by_window(
        connection,
        """
        SELECT
            window_start,
            count(*) AS "dagster/partition_row_count",
            count(*) FILTER (hours >= 6) AS taking_part,
            count(fault) AS with_fault,
            count(*) FILTER (is_new OR on_probation OR in_dispute OR unlike_neighbours) AS without_vote,
            count(*) FILTER (is_local) AS local
        FROM sensor_health
        WHERE window_start BETWEEN $first AND $last
        GROUP BY window_start
        """,
        windows,
    )


def anomaly_numbers(connection: DuckDBPyConnection, windows: WindowRange) -> Numbers:
    """Of ``anomalies``: number of sensors, and greatest PM2.5 (ug/m3)."""
    return _by_window(
        connection,
        """
        SELECT window_start, count(DISTINCT coalesce(device, sensor)) AS sensors, max(pm25_cf1) AS max_pm25
        FROM anomalies LEFT JOIN texts USING (sensor)
        WHERE window_start BETWEEN $first AND $last
        GROUP BY window_start
        """,
        windows,
    )


def alert_numbers(connection: DuckDBPyConnection, windows: WindowRange) -> Numbers:
    """Of ``slack_alerts``: alerts that wait to be sent, and alerts that Slack took before."""
    return _by_window(
        connection,
        """
        SELECT
            window_start,
            count(*) FILTER (status = 'pending') AS alerts_to_send,
            count(*) FILTER (status = 'sent') AS alerts_sent_before
        FROM slack_alerts
        WHERE window_start BETWEEN $first AND $last
        GROUP BY window_start
        """,
        windows,
    )


def outbox_numbers(connection: DuckDBPyConnection) -> dict[str, int]:
    """Of ``slack_alerts`` as a whole: rows, and alerts that wait to be sent or for a webhook."""
    ((rows, pending, not_sent),) = connection.execute(
        """
        SELECT
            count(*),
            count(*) FILTER (status = 'pending'),
            count(*) FILTER (status = 'not_sent')
        FROM slack_alerts
        """
    ).fetchall()
    return {"rows": rows, "pending": pending, "not_sent": not_sent}


def _by_window(connection: DuckDBPyConnection, query: str, windows: WindowRange, **parameters: Any) -> Numbers:
    """What ``query`` selects; in it ``texts`` has the ``device`` of each ``sensor`` that is one under several texts."""
    with registered(connection, "texts", _texts(connection)):
        result = connection.execute(query, {**windows.bounds, **parameters})
        names = [column[0] for column in result.description or []][1:]
        return {
            start: {name: value for name, value in zip(names, row, strict=True) if value is not None}
            for start, *row in result.fetchall()
        }


def _texts(connection: DuckDBPyConnection) -> pa.Table:
    sensors = [sensor for (sensor,) in connection.execute("SELECT sensor FROM sensors").fetchall()]
    rows = [{"sensor": text, "device": texts[0]} for texts in devices(sensors) if len(texts) > 1 for text in texts]
    return pa.Table.from_pylist(rows, pa.schema([("sensor", pa.string()), ("device", pa.string())]))
