"""Alerts of the newest windows and of old ones, and what the outbox holds of them."""

from datetime import timedelta
from typing import Any

from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.windows import WINDOW_LENGTH, utc_now, window_start
from tests.support.tables import rows
from tests.support.verdicts import find

DIGEST_AFTER = timedelta(hours=48)


ENDED = window_start(utc_now()) - WINDOW_LENGTH
"""The newest window that has ended."""


BEFORE = ENDED - WINDOW_LENGTH


OLD = [ENDED - timedelta(days=number) for number in range(30, 10, -1)]


def classify(store: Store, **sensors_of: Any) -> None:
    """Classify ``before`` and ``ended`` by the sensors with an anomaly."""
    with store.exclusive() as connection:
        for name, sensors in sensors_of.items():
            find(connection, {"before": BEFORE, "ended": ENDED}[name], sensors)


def outbox(store: Store, columns: str = "verdict, status") -> list[tuple[Any, ...]]:
    with store.inspect() as connection:
        return rows(connection, f"SELECT {columns} FROM slack_alerts ORDER BY alert_id")
