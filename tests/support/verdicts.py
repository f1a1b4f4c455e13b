"""Windows with the anomalies that make a verdict, without any readings behind them."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.regions.base import OneRegion
from aqi_dagster.pipeline.verdicts.classify_windows import classify_windows
from aqi_dagster.windows import WindowRange

REGION = OneRegion("Lake Tahoe")


# Sensors with an anomaly each, by the verdict that they make.
SMOKE = ["45.1, -122", "45.2, -122"]


MALFUNCTION = ["45.1, -122"]


NOTHING: list[str] = []


def note_selection(connection: DuckDBPyConnection) -> None:
    """Have the ledger say that all windows were scored, and their anomalies selected, by whatever made them."""
    connection.execute("UPDATE windows SET scored = readings, revision = 1, selected = 1")


def find(connection: DuckDBPyConnection, window: datetime, sensors: Sequence[str]) -> None:
    """Make one anomaly of each of ``sensors`` all the anomalies of ``window``, and classify it."""
    connection.execute("DELETE FROM anomalies WHERE window_start = ?", [window])
    for number, sensor in enumerate(sensors):
        anomaly = [sensor, window + timedelta(minutes=number), window, 500.0 + number, 0.9]
        connection.execute("INSERT INTO anomalies VALUES (?, ?, ?, ?, ?)", anomaly)
    note_selection(connection)
    classify_windows(connection, WindowRange(window, window), REGION)
