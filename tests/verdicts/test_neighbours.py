"""What other sensors of a region read while some were anomalous."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.alerts.dispatch import DispatchReport, dispatch
from aqi_dagster.pipeline.alerts.webhook import Webhook
from aqi_dagster.pipeline.alerts.wording import surroundings
from aqi_dagster.pipeline.health.health_table import health_by_window
from aqi_dagster.pipeline.health.judge_windows import judge_windows
from aqi_dagster.pipeline.regions.base import Regions
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.sql import scalar
from aqi_dagster.pipeline.verdicts.classify_windows import classify_windows
from aqi_dagster.pipeline.verdicts.neighbours import Neighbours, find_neighbours
from aqi_dagster.windows import WindowRange
from tests.support.alert_examples import SMOKE as ALERT
from tests.support.messages import FIRST_WINDOW, message, take_in
from tests.support.slack_server import Slack
from tests.support.tables import rows
from tests.support.verdicts import MALFUNCTION, REGION, find, note_selection

WINDOW = FIRST_WINDOW

(BROKEN,) = MALFUNCTION


def read(connection: DuckDBPyConnection, sensor: str, pm25: Callable[[int], float], window: datetime = WINDOW) -> None:
    """Have ``sensor`` read ``pm25`` of the minute, every ten minutes of ``window``."""
    moments = [(minute, window + timedelta(minutes=minute)) for minute in range(0, 720, 10)]
    read_before = scalar(connection, "SELECT count(*) FROM readings")
    take_in(connection, [message(sensor, moment, pm25(minute)) for minute, moment in moments], read_before)
    connection.executemany(
        "INSERT INTO scored_readings (sensor, created_at, window_start, pm25_cf1, score) VALUES (?, ?, ?, ?, 0)",
        [[sensor, moment, window, pm25(minute)] for minute, moment in moments],
    )
    note_selection(connection)


class OfTahoe:
    """All sensors belong to the region of the tests, but those in Reno."""

    settings: Sequence[str] = ["of Tahoe"]

    def region_of(self, sensor: str) -> str:
        """By the sensor's text."""
        return "Reno" if sensor == "39.5, -119.8" else REGION.name

    known_region_of = region_of


def neighbours(connection: DuckDBPyConnection, regions: Regions = REGION) -> Neighbours:
    """What is found for the one window, and stored with it when it is classified again."""
    span = WindowRange(WINDOW, WINDOW)
    judge_windows(connection, span, WINDOW, regions.known_region_of, "regions")
    (window,) = classify_windows(connection, span, regions)[WINDOW]
    found = find_neighbours(connection, [window], health_by_window(connection, span))[REGION.name, WINDOW]
    assert (window.others_pm25, window.implausible) == (found.others_pm25, found.implausible)
    assert rows(connection, "SELECT others_pm25, implausible FROM regional_windows") == [
        (found.others_pm25, found.implausible)
    ]
    return found


def test_the_others_are_told_by_their_median_around_the_anomalies(connection: DuckDBPyConnection) -> None:
    find(connection, WINDOW, MALFUNCTION)
    read(connection, BROKEN, lambda minute: 500.0 + minute)
    assert neighbours(connection) == Neighbours([], [])
    # The only anomaly is at the window's start: what others read hours later is another matter.
    read(connection, "45.2, -122", lambda minute: 9.0 if minute <= 30 else 20.0 + minute / 100)
    read(connection, "45.3, -122", lambda minute: 17.0 + minute / 100)
    read(connection, "39.5, -119.8", lambda minute: 18.0 + minute / 100)
    assert neighbours(connection, OfTahoe()).others_pm25 == pytest.approx([9.0, 17.15])
    assert len(neighbours(connection).others_pm25) == 3


def test_who_is_not_to_be_believed_is_told_and_no_witness(connection: DuckDBPyConnection) -> None:
    find(connection, WINDOW, MALFUNCTION)
    read(connection, BROKEN, lambda _: 5000.0)
    read(connection, "45.2, -122", lambda _: 4.0)
    read(connection, "45.3, -122", lambda minute: 7.0 + minute)
    read(connection, "39.5, -119.8", lambda _: 3.0)
    found = neighbours(connection, OfTahoe())
    assert found.others_pm25 == [22.0]
    assert [fault.split(" ug/m3")[0] for fault in found.implausible] == [
        f"{BROKEN}: Read up to 5,000",
        "45.2, -122: Read 4.00",
    ]


@pytest.mark.parametrize(
    ("others", "implausible", "told"),
    [
        ([], [], "No other sensor of the region is known to have measured meanwhile."),
        ([11.6], [], "The region's other sensor read 12 ug/m3 meanwhile."),
        ([3, 4, 1100], [], "The region's 3 other sensors read 3 to 1,100 ug/m3 meanwhile, median 4."),
        ([3], list("abcde"), "read 3 ug/m3 meanwhile. Not to be believed: a; b; c; and 2 more."),
        (None, None, ""),
    ],
)
def test_surroundings_in_words(others: list[float] | None, implausible: list[str] | None, told: str) -> None:
    found = surroundings(replace(ALERT, others_pm25=others, implausible=implausible))
    assert found.endswith(told)
    assert bool(found) == bool(told)


def test_an_alert_tells_the_surroundings_that_its_verdict_was_stored_with(store: Store, slack: Slack) -> None:
    post = Webhook(slack.url, attempts=1).post
    later = WINDOW + timedelta(hours=12)
    with store.exclusive() as connection:
        read(connection, "45.2, -122", lambda minute: 7.0 + minute)
        judge_windows(connection, WindowRange(WINDOW, WINDOW), WINDOW, REGION.known_region_of, "regions")
        find(connection, WINDOW, MALFUNCTION)
    assert dispatch(store, post, timedelta(days=36_500)) == DispatchReport(sent=1)
    assert "The region's other sensor read 22 ug/m3 meanwhile." in slack.shown(0)
    with store.exclusive() as connection:
        find(connection, later, MALFUNCTION)
        # As a release left it that did not store them.
        connection.execute("UPDATE regional_windows SET others_pm25 = NULL, implausible = NULL")
    assert dispatch(store, post, timedelta(days=36_500)) == DispatchReport(sent=1)
    assert "meanwhile" not in slack.shown(1)
