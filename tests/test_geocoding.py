"""Counties by the nearest town and by a Nominatim server: what is asked, kept, and done when no answer comes."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline import geocoding
from aqi_dagster.pipeline.classifying import classify_windows
from aqi_dagster.pipeline.geocoding import NearestTown, NominatimServer
from aqi_dagster.pipeline.regions import MAX_FAILURES, GeocodedRegions, Geocoder
from tests.conftest import FIRST_WINDOW, find, rows
from tests.nominatim_server import NO_RESULT, NominatimStandIn, answer, nominatim_server

ELSEWHERE = "Elsewhere"

PORTLAND, GRESHAM, VANCOUVER = "45.504625, -122.595016", "45.5, -122.43", "45.63, -122.6"


@pytest.fixture
def nominatim() -> Iterator[NominatimStandIn]:
    with nominatim_server() as nominatim:
        nominatim.counties = {
            (45.504625, -122.595016): answer(county="Multnomah County"),
            (45.5, -122.43): answer(county="Multnomah County"),
            (45.63, -122.6): answer(county="Clark County", state="Washington"),
        }
        yield nominatim


@pytest.fixture
def server(nominatim: NominatimStandIn, monkeypatch: pytest.MonkeyPatch) -> NominatimServer:
    """The geocoder of that server, without a pause between requests."""
    monkeypatch.setattr(geocoding, "SECONDS_BETWEEN_REQUESTS", 0.0)
    return NominatimServer(nominatim.url, "aqi-test (ops@example.org)", timeout=0.5)


def test_the_nearest_town_tells_the_county_and_its_state() -> None:
    county = NearestTown().county
    assert county(45.504625, -122.595016) == "Multnomah County, Oregon"
    assert county(38.93, -119.98) == "El Dorado County, California"
    # Oregon and Utah have a Washington County each.
    assert county(45.52, -122.98) == "Washington County, Oregon"
    assert county(37.1, -113.58) == "Washington County, Utah"
    assert county(38.9, -77.04) == "District of Columbia"
    assert county(30.0, -150.0) is None


def looked_up(connection: DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return rows(connection, "SELECT sensor, method, region FROM sensor_regions ORDER BY looked_up_at, sensor")


def regions_of(connection: DuckDBPyConnection, geocoder: Geocoder, *sensors: str) -> list[str]:
    """The regions of ``sensors`` as a run of its own finds them."""
    regions = GeocodedRegions(connection, geocoder, ELSEWHERE)
    return [regions.region_of(sensor) for sensor in sensors]


def test_counties_are_kept_and_those_of_another_method_are_not_used(
    connection: DuckDBPyConnection, nominatim: NominatimStandIn
) -> None:
    nominatim.counties = {(45.5, -122.43): answer(county="Gresham County")}
    assert regions_of(connection, NearestTown(), GRESHAM, "roof") == ["Multnomah County, Oregon", ELSEWHERE]
    server = NominatimServer(nominatim.url, "test")
    assert regions_of(connection, server, GRESHAM) == ["Gresham County, Oregon"]
    assert looked_up(connection) == [
        (GRESHAM, NearestTown.method, "Multnomah County, Oregon"),
        (GRESHAM, server.method, "Gresham County, Oregon"),
    ]
    connection.execute("UPDATE sensor_regions SET region = 'kept' WHERE method = ?", [NearestTown.method])
    assert regions_of(connection, NearestTown(), GRESHAM) == ["kept"]
    assert regions_of(connection, server, GRESHAM) == ["Gresham County, Oregon"]


def test_nominatim_is_asked_once_for_each_sensor_and_told_who_asks(
    connection: DuckDBPyConnection, nominatim: NominatimStandIn, server: NominatimServer
) -> None:
    expected = ["Multnomah County, Oregon", "Multnomah County, Oregon", "Clark County, Washington", ELSEWHERE]
    for _ in range(2):
        assert regions_of(connection, server, PORTLAND, GRESHAM, VANCOUVER, "roof") == expected
    assert nominatim.places == [(45.504625, -122.595016), (45.5, -122.43), (45.63, -122.6)]
    assert {request.user_agent for request in nominatim.requests} == {"aqi-test (ops@example.org)"}
    (asked,) = {(each.parameters["zoom"], each.parameters["accept-language"]) for each in nominatim.requests}
    assert asked == ("8", "en")


def test_nominatim_is_asked_at_most_once_a_second(nominatim: NominatimStandIn) -> None:
    server = NominatimServer(nominatim.url, "test")
    assert [server.county(45.5, -122.43), server.county(0, 0)] == ["Multnomah County, Oregon", None]
    first, second = nominatim.requests
    assert second.time - first.time > 0.9


@pytest.mark.parametrize(
    ("said", "region"),
    [
        (answer(city="San Francisco", state="California"), "San Francisco, California"),
        (answer(state_district="Upper Austria", state="Austria"), "Upper Austria, Austria"),
        (answer(), "Oregon"),
        (answer(state=None), "United States"),
        (NO_RESULT, ELSEWHERE),
    ],
)
def test_where_there_is_no_county_the_next_larger_area_stands_for_it(
    connection: DuckDBPyConnection, nominatim: NominatimStandIn, server: NominatimServer, said: Any, region: str
) -> None:
    nominatim.counties[(45.5, -122.43)] = said
    assert regions_of(connection, server, GRESHAM) == [region]
    assert regions_of(connection, server, GRESHAM) == [region]
    assert len(nominatim.requests) == 1


FAULTS = {
    "too many requests": {"status": 429, "headers": {"Retry-After": "3600"}},
    "broken": {"status": 500, "body": "<html>oops</html>"},
    "overloaded": {"status": 503, "headers": {"Retry-After": "3600"}},
    "forbidden": {"status": 403},
    "silent": {"silent": True},
    "refused": {"body": '{"error": "something else"}'},
    "another page": {"body": "<html>Log in to the hotel's network</html>"},
    "another list": {"body": '["a"]'},
    "no address": {"body": '{"lat": "1", "lon": "2"}'},
    "no names": {"body": '{"lat": "1", "lon": "2", "address": {}}'},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_sensor_whose_county_is_not_told_is_elsewhere_and_asked_for_again_by_the_next_run(
    connection: DuckDBPyConnection,
    nominatim: NominatimStandIn,
    server: NominatimServer,
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    for name, value in FAULTS[fault].items():
        setattr(nominatim, name, value)
    with caplog.at_level(logging.WARNING, "aqi_dagster"):
        assert regions_of(connection, server, GRESHAM, GRESHAM) == [ELSEWHERE, ELSEWHERE]
    assert looked_up(connection) == []
    # Nothing asks a second time within a run, however much later the server would like it.
    assert nominatim.places == [(45.5, -122.43)]
    (logged,) = caplog.messages
    assert f"Sensor {GRESHAM} is in region Elsewhere for now. {server.method} did not tell its county" in logged
    nominatim.status, nominatim.headers, nominatim.body, nominatim.silent = 200, {}, None, False
    assert regions_of(connection, server, GRESHAM) == ["Multnomah County, Oregon"]
    assert len(looked_up(connection)) == 1


def test_a_server_that_does_not_run_loses_no_sensor(
    connection: DuckDBPyConnection, unused_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geocoding, "SECONDS_BETWEEN_REQUESTS", 0.0)
    server = NominatimServer(f"http://127.0.0.1:{unused_port}", "test")
    assert regions_of(connection, server, GRESHAM, PORTLAND) == [ELSEWHERE, ELSEWHERE]


def test_a_run_stops_asking_a_server_that_keeps_failing(
    connection: DuckDBPyConnection,
    nominatim: NominatimStandIn,
    server: NominatimServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    nominatim.status = 500
    sensors = [f"45.{number}, -122" for number in range(10, 20)]
    with caplog.at_level(logging.WARNING, "aqi_dagster"):
        assert regions_of(connection, server, *sensors) == [ELSEWHERE] * 10
    assert len(nominatim.requests) == MAX_FAILURES
    assert len(caplog.messages) == 10


def test_only_sensors_with_an_anomaly_are_looked_up(
    connection: DuckDBPyConnection, nominatim: NominatimStandIn, server: NominatimServer
) -> None:
    connection.execute("INSERT INTO sensors VALUES (?, '2022-07-18', '2022-07-18', 1)", [VANCOUVER])
    find(connection, FIRST_WINDOW, [GRESHAM])
    classify_windows(connection, [FIRST_WINDOW], GeocodedRegions(connection, server, ELSEWHERE))
    assert nominatim.places == [(45.5, -122.43)]
