"""What other sensors of a region read while some were anomalous."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from duckdb import DuckDBPyConnection

from aqi_dagster.errors import ConfigurationError
from aqi_dagster.pipeline.alerts.dispatch import DispatchReport, dispatch
from aqi_dagster.pipeline.alerts.webhook import Webhook
from aqi_dagster.pipeline.alerts.wording import surroundings
from aqi_dagster.pipeline.regions.base import Regions
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.sql import scalar
from aqi_dagster.pipeline.verdicts.neighbours import Neighbours, find_neighbours
from tests.support.messages import FIRST_WINDOW, message, take_in
from tests.support.slack_server import Slack
from tests.support.verdicts import MALFUNCTION, REGION, find

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


class OfTahoe:
    """All sensors belong to the region of the tests, but those in Reno."""

    def region_of(self, sensor: str) -> str:
        """By the sensor's text."""
        return "Reno" if sensor == "39.5, -119.8" else REGION.name

    known_region_of = region_of


def neighbours(connection: DuckDBPyConnection, regions: Regions = REGION) -> Neighbours:
    return find_neighbours(connection, REGION.name, WINDOW, MALFUNCTION, regions)


def test_the_others_are_told_by_their_median_around_the_anomalies(connection: DuckDBPyConnection) -> None:
    find(connection, WINDOW, MALFUNCTION)
    read(connection, BROKEN, lambda minute: 500.0 + minute)
    assert neighbours(connection) == Neighbours([], [])
    # The only anomaly is at the window's start: what others read hours later is another matter.
    read(connection, "45.2, -122", lambda minute: 9.0 if minute <= 30 else 300.0 + minute)
    read(connection, "45.3, -122", lambda minute: 7.0 + minute / 100)
    read(connection, "39.5, -119.8", lambda minute: 80.0 + minute)
    assert neighbours(connection, OfTahoe()).others == pytest.approx([7.15, 9.0])
    assert len(neighbours(connection).others) == 3


def test_who_is_not_to_be_believed_is_told_and_no_witness(connection: DuckDBPyConnection) -> None:
    find(connection, WINDOW, MALFUNCTION)
    read(connection, BROKEN, lambda _: 5000.0)
    read(connection, "45.2, -122", lambda _: 0.0)
    read(connection, "45.3, -122", lambda minute: 7.0 + minute)
    read(connection, "39.5, -119.8", lambda _: 3.0)
    found = neighbours(connection, OfTahoe())
    assert found.others == [22.0]
    assert [fault.split(" ug/m3")[0] for fault in found.implausible] == [
        f"{BROKEN}: impossible values such as 5000.00",
        "45.2, -122: the same 0.00",
    ]


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (Neighbours([], []), "No other sensor of the region is known to have measured meanwhile."),
        (Neighbours([11.6], []), "The region's other sensor read 12 ug/m3 meanwhile."),
        (Neighbours([3, 4, 1100], []), "The region's 3 other sensors read 3 to 1,100 ug/m3 meanwhile, median 4."),
        (Neighbours([3], list("abcde")), "read 3 ug/m3 meanwhile. Not to be believed: a; b; c; and 2 more."),
    ],
)
def test_surroundings_in_words(found: Neighbours, told: str) -> None:
    assert surroundings(found).endswith(told)


@pytest.mark.parametrize("error", [ConfigurationError("regions.geojson does not exist"), ValueError("no polygon")])
def test_an_alert_tells_its_surroundings_and_is_sent_without_them_if_need_be(
    store: Store, slack: Slack, error: Exception
) -> None:
    def no_regions(_: DuckDBPyConnection) -> Regions:
        raise error

    post = Webhook(slack.url, attempts=1).post
    with store.exclusive() as connection:
        read(connection, "45.2, -122", lambda minute: 7.0 + minute)
        find(connection, WINDOW, MALFUNCTION)
    assert dispatch(store, post, timedelta(days=36_500), None, lambda _: REGION) == DispatchReport(sent=1)
    assert "The region's other sensor read 22 ug/m3 meanwhile." in slack.shown(0)
    with store.exclusive() as connection:
        find(connection, WINDOW + timedelta(hours=12), MALFUNCTION)
    assert dispatch(store, post, timedelta(days=36_500), None, no_regions) == DispatchReport(sent=1)
    assert "meanwhile" not in slack.shown(1)
