"""Regional windows: anomalies gathered by region and window, judged, and queued for Slack where news."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import chain

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.regions.base import Regions
from aqi_dagster.pipeline.store.sql import run_script, transaction
from aqi_dagster.pipeline.verdicts.notebook_rules import Anomaly, RegionalWindow, classify
from aqi_dagster.windows import utc_now


def classify_windows(
    connection: DuckDBPyConnection, windows: Sequence[datetime], regions: Regions
) -> dict[datetime, list[RegionalWindow]]:
    """Write the regional windows of ``windows`` (starts, consecutive) and return them by window.

    All of it is one transaction, together with the alerts that the verdicts call for: so a verdict is never stored
    without its alert.
    """
    span = {"first": windows[0], "last": windows[-1]}
    anomalies = defaultdict(list)
    for start, *anomaly in connection.execute(
        "SELECT window_start, sensor, created_at, anomalies.pm25_cf1, pm25_corrected "
        "FROM anomalies LEFT JOIN ("
        "FROM corrected_readings WHERE NOT repeated AND window_start BETWEEN $first AND $last) AS kept "
        "USING (window_start, sensor, created_at) WHERE window_start BETWEEN $first AND $last",
        span,
    ).fetchall():
        anomalies[start].append(Anomaly(*anomaly))
    classified = {start: classify(start, anomalies.get(start, []), regions) for start in windows}
    with transaction(connection):
        connection.execute("DELETE FROM regional_windows WHERE window_start BETWEEN $first AND $last", span)
        for window in chain.from_iterable(classified.values()):
            connection.execute(
                "INSERT INTO regional_windows VALUES ($region, $window_start, $window_end, $sensors, "
                "$count_sensors, $count_anomalies, $min_event, $max_pm25, $variation, $verdict, "
                "$max_pm25_corrected, $aqi_of_max, $aqi_category)",
                asdict(window),
            )
        connection.execute("UPDATE windows SET classified = selected WHERE window_start BETWEEN $first AND $last", span)
        run_script(connection, __package__, "sync_alerts.sql", **span, now=utc_now())
    return classified
