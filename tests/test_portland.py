"""Real readings of Portland's smoke in September 2020, from file to published windows, by the command line alone."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from aqi_dagster.demo.broker import EmbeddedBroker
from tests.support.command_line import Site
from tests.support.tables import rows

RANGE = ("--from", "2020-09-01T00:00", "--to", "2020-10-31T12:00")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, broker: EmbeddedBroker, portland: Path) -> Site:
    """An installation that has taken in and classified the whole file."""
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "KAFKA_TOPIC": "portland",
        "AQI_FIRST_WINDOW": "2020-09-01T00:00",
        "AQI_REGION": "Portland",
    }
    site = Site(tmp_path_factory.mktemp("portland"), settings)
    site.run("produce", str(portland))
    site.run("materialize", *RANGE)
    return site


def table_rows(site: Site, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(site.published), read_only=True) as connection:
        return rows(connection, query)


def naive(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=None)


def test_exactly_the_golden_windows_are_found(site: Site, portland_golden: Mapping[str, Any]) -> None:
    expected = [
        (
            window["region"],
            naive(window["window_start"]),
            window["sensors"],
            window["count_sensors"],
            window["count_anomalies"],
            naive(window["min_event"]),
            window["max_pm25"],
            window["variance"],
            "malfunction" if window["malfunction"] else "smoke",
        )
        for window in portland_golden["windows"]
    ]
    found = table_rows(
        site,
        "SELECT region, window_start, sensors, count_sensors, count_anomalies, min_event, max_pm25, variation, verdict "
        "FROM regional_windows ORDER BY window_start, region",
    )
    assert found == expected


def test_no_message_is_lost_rejected_or_scored_twice(site: Site, portland_golden: Mapping[str, Any]) -> None:
    readings = portland_golden["readings"]
    assert table_rows(site, "SELECT count(*) FROM readings") == [(readings,)]
    assert table_rows(site, "SELECT count(*) FROM rejected_messages") == [(portland_golden["messages_rejected"],)]
    assert table_rows(site, "SELECT count(*), count(DISTINCT (sensor, created_at)) FROM scored_readings") == [
        (readings, readings)
    ]
    assert table_rows(site, "SELECT count(*) FROM anomalies") == [(portland_golden["anomalies"],)]
    assert table_rows(site, "SELECT sum(messages) FROM kafka_offsets") == [(readings,)]


def test_a_second_run_gives_the_same_tables(site: Site) -> None:
    queries = [
        "SELECT * FROM readings ORDER BY kafka_partition, kafka_offset",
        "SELECT * FROM scored_readings ORDER BY sensor, created_at",
        "SELECT * FROM detector_states ORDER BY sensor, window_start",
        "SELECT * FROM anomalies ORDER BY sensor, created_at",
        "SELECT * FROM regional_windows ORDER BY window_start, region",
        "SELECT * FROM windows ORDER BY window_start",
        "SELECT * FROM slack_alerts ORDER BY alert_id",
    ]
    before = [table_rows(site, query) for query in queries]
    site.run("materialize", *RANGE)
    assert [table_rows(site, query) for query in queries] == before


def test_status_tells_what_was_done_and_that_nothing_waits(site: Site) -> None:
    told = site.run("status").stdout
    assert "316,724 of 19 sensors" in told
    assert "122, newest 2020-10-31 12:00 UTC" in told
    assert "10 malfunction, 10 smoke" in told
    assert "20 pending" in told
    lags = [line.split()[2] for line in told.splitlines() if line.strip().startswith(("0 ", "1 ", "2 ", "3 "))]
    assert lags == ["0", "0", "0", "0"]


def test_an_alert_run_without_a_webhook_records_that_nothing_was_sent(site: Site) -> None:
    told = site.run("alert").stdout
    assert told.split()[-2:] == ["not_sent", "20"]
