"""EPA's index and correction: the published edges, and the view that holds the same rules in SQL."""

from datetime import timedelta
from itertools import pairwise

import pytest
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.alerts.dispatch import DispatchReport, dispatch
from aqi_dagster.pipeline.alerts.webhook import Webhook
from aqi_dagster.pipeline.aqi import CATEGORIES, aqi, category, corrected_pm25
from aqi_dagster.pipeline.detection.anomalies import Thresholds, select_anomalies
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.verdicts.classify_windows import classify_windows
from aqi_dagster.windows import WindowRange
from tests.support.messages import FIRST_WINDOW, RawMessage, message, take_in
from tests.support.slack_server import slack_server
from tests.support.tables import rows
from tests.support.verdicts import REGION, find, note_selection


@pytest.mark.parametrize(
    ("pm25", "index", "name"),
    [
        (0.0, 0, "Good"),
        (9.0, 50, "Good"),
        (9.1, 51, "Moderate"),
        (35.4, 100, "Moderate"),
        (35.5, 101, "Unhealthy for Sensitive Groups"),
        (55.4, 150, "Unhealthy for Sensitive Groups"),
        (55.5, 151, "Unhealthy"),
        (125.4, 200, "Unhealthy"),
        (125.5, 201, "Very Unhealthy"),
        (225.4, 300, "Very Unhealthy"),
        (225.5, 301, "Hazardous"),
        (325.4, 500, "Hazardous"),
        (325.6, 500, "Hazardous"),
        (325.7, 501, "Hazardous"),
        (1000.0, 1844, "Hazardous"),
    ],
)
def test_the_index_at_the_breakpoints_and_beyond(pm25: float, index: int, name: str) -> None:
    assert aqi(pm25) == index
    assert category(index).name == name


def test_the_example_of_epas_technical_assistance_document() -> None:
    """A 24-hour PM2.5 value of 35.9 ug/m3 has the index 102."""
    assert aqi(35.9) == 102


@pytest.mark.parametrize(("pm25", "index"), [(9.09, 50), (35.49, 100), (325.49, 500)])
def test_concentrations_are_cut_not_rounded(pm25: float, index: int) -> None:
    assert aqi(pm25) == index


def test_the_index_never_falls_and_each_category_follows_the_one_before() -> None:
    indices = [aqi(tenths / 10) for tenths in range(20_000)]
    assert all(one <= next_one for one, next_one in pairwise(indices))
    for one, worse in pairwise(CATEGORIES):
        assert worse.lowest_aqi == one.highest_aqi + 1
        assert round(worse.lowest_pm25 - one.highest_pm25, 9) == 0.1


@pytest.mark.parametrize(
    ("pm25_cf1", "humidity", "corrected"),
    [
        (0.0, 50.0, 1.44),
        (0.0, 100.0, 0.0),
        (100.0, 50.0, 53.84),
        (569.0, 50.0, 299.596),
        (570.0, 50.0, 300.12),
        (590.5, 50.0, 346.2883),
        (611.0, None, 400.1201),
        (1000.0, 50.0, 816.44),
        (2000.0, None, 2471.44),
        (2000.1, None, None),
        (611.0, 250.0, 400.1201),
        (100.0, None, None),
        (600.0, None, None),
        (100.0, -1.0, None),
        (100.0, 100.1, None),
        (-0.1, 50.0, None),
        (1e300, 50.0, None),
    ],
)
def test_the_correction_in_its_three_ranges(pm25_cf1: float, humidity: float | None, corrected: float | None) -> None:
    found = corrected_pm25(pm25_cf1, humidity)
    assert (None if found is None else round(found, 4)) == corrected


@pytest.mark.parametrize("humidity", [0.0, 35.0, 100.0])
def test_the_correction_grows_with_the_reading_and_has_no_step(humidity: float) -> None:
    values = [corrected_pm25(tenths / 10, humidity) or 0.0 for tenths in range(20_000)]
    assert all(0 <= more - less < 0.4 for less, more in pairwise(values))


def test_the_view_says_what_the_module_says(connection: DuckDBPyConnection) -> None:
    connection.execute(
        "INSERT INTO readings BY NAME "
        "SELECT 'a' AS sensor, TIMESTAMP '2022-07-18' AS created_at, created_at AS window_start, pm25_cf1, humidity, "
        "false AS repeated, 1 AS topic_generation, 0 AS kafka_partition, 0 AS kafka_offset, created_at AS ingested_at "
        "FROM (SELECT unnest(range(-50, 13_000)) / 20 AS pm25_cf1 "
        "UNION ALL FROM unnest([700.01, 1234.56, 2000, 2000.1, 1e300])), "
        "(SELECT unnest([NULL, -1, 0, 7.25, 50, 99.9, 100, 101]) AS humidity)"
    )
    found = rows(connection, "SELECT pm25_cf1, humidity, pm25_corrected, aqi_of_reading FROM corrected_readings")
    assert len(found) == (13_050 + 5) * 8
    for pm25_cf1, humidity, corrected, index in found:
        expected = corrected_pm25(pm25_cf1, humidity)
        assert (corrected, index) == (expected, None if expected is None else aqi(expected)), (pm25_cf1, humidity)
    assert {category(index).name for *_, index in found if index is not None} == {each.name for each in CATEGORIES}


def anomalous(messages: list[RawMessage], connection: DuckDBPyConnection) -> None:
    """Take in ``messages`` and classify their window, with every reading above 50 ug/m3 an anomaly."""
    take_in(connection, messages)
    connection.execute(
        "INSERT INTO scored_readings SELECT sensor, created_at, window_start, pm25_cf1, 0.9 FROM readings "
        "WHERE NOT repeated"
    )
    note_selection(connection)
    select_anomalies(connection, WindowRange(FIRST_WINDOW, FIRST_WINDOW), Thresholds())
    classify_windows(connection, WindowRange(FIRST_WINDOW, FIRST_WINDOW), REGION)


PEAK = "SELECT max_pm25, max_pm25_corrected, aqi_of_max, aqi_category FROM regional_windows"


def test_a_regional_window_tells_the_index_of_its_worst_reading(connection: DuckDBPyConnection) -> None:
    readings = [
        message("45, -122", FIRST_WINDOW, 410.0, Humidity="90"),
        message("45.1, -122", FIRST_WINDOW, 400.0, **{"Humidity_%": "10"}),
        # Repeated: only the first of the two was scored.
        message("45, -122", FIRST_WINDOW, 450.0, Humidity="10"),
    ]
    anomalous(readings, connection)
    assert rows(connection, PEAK) == [(410.0, corrected_pm25(400.0, 10.0), 289, "Very Unhealthy")]


def test_without_humidity_a_regional_window_has_no_index(connection: DuckDBPyConnection) -> None:
    anomalous([message("45, -122", FIRST_WINDOW, 400.0)], connection)
    assert rows(connection, PEAK) == [(400.0, None, None, None)]
    find(connection, FIRST_WINDOW, [])
    assert rows(connection, PEAK) == []


def test_an_alert_of_smoke_tells_the_index_and_one_of_a_broken_sensor_does_not(store: Store) -> None:
    smoke = [message(sensor, FIRST_WINDOW, 400.0, Humidity="10") for sensor in ("45, -122", "45.1, -122")]
    with store.exclusive() as connection:
        anomalous(smoke, connection)
    with slack_server() as slack:
        post = Webhook(slack.url, attempts=1).post
        assert dispatch(store, post, timedelta(days=36_500)) == DispatchReport(sent=1)
        with store.exclusive() as connection:
            find(connection, FIRST_WINDOW, ["45, -122"])
        assert dispatch(store, post, timedelta(days=36_500)) == DispatchReport(sent=1)
    assert slack.texts[0].endswith("2 anomalies since 00:00, up to 400 ug/m3, AQI 289 'Very Unhealthy'")
    assert "AQI: what a whole day of 214 ug/m3 would have" in slack.shown(0)
    assert "AQI" not in slack.texts[1]


def test_a_stuck_counter_does_not_set_the_index_of_its_region_and_no_alert_goes_beyond_500(store: Store) -> None:
    readings = [message("45, -122", FIRST_WINDOW, 5000.0), message("45.1, -122", FIRST_WINDOW, 900.0)]
    with store.exclusive() as connection:
        anomalous(readings, connection)
        assert rows(connection, PEAK) == [(5000.0, corrected_pm25(900.0, None), 1241, "Hazardous")]
    with slack_server() as slack:
        dispatch(store, Webhook(slack.url, attempts=1).post, timedelta(days=36_500))
    assert "AQI over 500 'Hazardous'" in slack.texts[0]
    assert "a whole day of 697 ug/m3" in slack.shown(0)
