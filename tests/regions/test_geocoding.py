"""Counties by the nearest town and by a Nominatim server: what is asked, kept, and done when no answer comes."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aqi_dagster.errors import StoreBusyError
from aqi_dagster.pipeline.regions import geocoding
from aqi_dagster.pipeline.regions.base import Geocoder
from aqi_dagster.pipeline.regions.counties import ANSWERS_AT_ONCE, MAX_FAILURES, county_regions, look_up_counties
from aqi_dagster.pipeline.regions.geocoding import NearestTown, NominatimServer
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.windows import WindowRange
from tests.support.messages import FIRST_WINDOW
from tests.support.nominatim_server import NO_RESULT, NominatimStandIn, answer, nominatim_server
from tests.support.tables import rows
from tests.support.verdicts import find
from tests.support.waiting import LIMIT_SECONDS

ELSEWHERE = "Elsewhere"

AGENT = "aqi-test (ops@example.org)"

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
    return NominatimServer(nominatim.url, AGENT, timeout=LIMIT_SECONDS)


def test_the_nearest_town_tells_the_county_and_its_state() -> None:
    county = NearestTown().county
    assert county(45.504625, -122.595016) == "Multnomah County, Oregon"
    assert county(38.93, -119.98) == "El Dorado County, California"
    # Oregon and Utah have a Washington County each.
    assert county(45.52, -122.98) == "Washington County, Oregon"
    assert county(37.1, -113.58) == "Washington County, Utah"
    assert county(38.9, -77.04) == "District of Columbia"
    assert county(30.0, -150.0) is None


def looked_up(store: Store) -> list[tuple[Any, ...]]:
    with store.inspect() as connection:
        return rows(connection, "SELECT sensor, method, region FROM sensor_regions ORDER BY looked_up_at, sensor")


WINDOW = WindowRange(FIRST_WINDOW, FIRST_WINDOW)


def regions_of(store: Store, geocoder: Geocoder, *sensors: str) -> list[str]:
    """The regions of ``sensors`` as a run over a window with their anomalies finds them."""
    with store.exclusive() as connection:
        find(connection, FIRST_WINDOW, sensors)
    look_up_counties(store, geocoder, WINDOW, ELSEWHERE)
    with store.exclusive() as connection:
        regions = county_regions(connection, geocoder, ELSEWHERE)
    return [regions.region_of(sensor) for sensor in sensors]


def test_counties_are_kept_and_those_of_another_method_are_not_used(store: Store, nominatim: NominatimStandIn) -> None:
    nominatim.counties = {(45.5, -122.43): answer(county="Gresham County")}
    assert regions_of(store, NearestTown(), GRESHAM, "roof") == ["Multnomah County, Oregon", ELSEWHERE]
    server = NominatimServer(nominatim.url, "test")
    assert regions_of(store, server, GRESHAM) == ["Gresham County, Oregon"]
    assert looked_up(store) == [
        (GRESHAM, NearestTown.method, "Multnomah County, Oregon"),
        (GRESHAM, server.method, "Gresham County, Oregon"),
    ]
    with store.exclusive() as connection:
        connection.execute("UPDATE sensor_regions SET region = 'kept' WHERE method = ?", [NearestTown.method])
    assert regions_of(store, NearestTown(), GRESHAM) == ["kept"]
    assert regions_of(store, server, GRESHAM) == ["Gresham County, Oregon"]


def test_nominatim_is_asked_once_for_each_sensor_and_told_who_asks(
    store: Store, nominatim: NominatimStandIn, server: NominatimServer
) -> None:
    expected = ["Multnomah County, Oregon", "Multnomah County, Oregon", "Clark County, Washington", ELSEWHERE]
    for _ in range(2):
        assert regions_of(store, server, PORTLAND, GRESHAM, VANCOUVER, "roof") == expected
    assert sorted(nominatim.places) == [(45.5, -122.43), (45.504625, -122.595016), (45.63, -122.6)]
    assert {request.user_agent for request in nominatim.requests} == {AGENT}
    (asked,) = {(each.parameters["zoom"], each.parameters["accept-language"]) for each in nominatim.requests}
    assert asked == ("8", "en")


def test_nominatim_is_asked_at_most_once_a_second(nominatim: NominatimStandIn) -> None:
    server = NominatimServer(nominatim.url, "test")
    # Not from when the server saw the first request: a busy one sees it late.
    started = time.monotonic()
    assert [server.county(45.5, -122.43), server.county(0, 0)] == ["Multnomah County, Oregon", None]
    _, second = nominatim.requests
    assert second.time - started >= 1.0


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
    store: Store, nominatim: NominatimStandIn, server: NominatimServer, said: Any, region: str
) -> None:
    nominatim.counties[(45.5, -122.43)] = said
    assert regions_of(store, server, GRESHAM) == [region]
    assert regions_of(store, server, GRESHAM) == [region]
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
    store: Store,
    nominatim: NominatimStandIn,
    server: NominatimServer,
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    for name, value in FAULTS[fault].items():
        setattr(nominatim, name, value)
    asked = NominatimServer(nominatim.url, AGENT, timeout=0.5) if nominatim.silent else server
    with caplog.at_level(logging.WARNING, "aqi_dagster"):
        assert regions_of(store, asked, GRESHAM, GRESHAM) == [ELSEWHERE, ELSEWHERE]
    assert looked_up(store) == []
    # Nothing asks a second time within a run, however much later the server would like it.
    assert nominatim.places == [(45.5, -122.43)]
    (logged,) = caplog.messages
    assert f"Sensor {GRESHAM} is in region Elsewhere for now. {server.method} did not tell its county" in logged
    nominatim.status, nominatim.headers, nominatim.body, nominatim.silent = 200, {}, None, False
    assert regions_of(store, server, GRESHAM) == ["Multnomah County, Oregon"]
    assert len(looked_up(store)) == 1


def test_a_server_that_does_not_run_loses_no_sensor(
    store: Store, unused_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geocoding, "SECONDS_BETWEEN_REQUESTS", 0.0)
    server = NominatimServer(f"http://127.0.0.1:{unused_port}", "test")
    assert regions_of(store, server, GRESHAM, PORTLAND) == [ELSEWHERE, ELSEWHERE]


def test_a_run_stops_asking_a_server_that_keeps_failing(
    store: Store,
    nominatim: NominatimStandIn,
    server: NominatimServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    nominatim.status = 500
    sensors = [f"45.{number}, -122" for number in range(10, 10 + 2 * ANSWERS_AT_ONCE)]
    with caplog.at_level(logging.WARNING, "aqi_dagster"):
        assert regions_of(store, server, *sensors) == [ELSEWHERE] * len(sensors)
    assert len(nominatim.requests) == MAX_FAILURES
    assert len(caplog.messages) == MAX_FAILURES + 1
    assert "All sensors that it did not name yet are in region Elsewhere for now" in caplog.messages[-1]


def test_only_sensors_with_an_anomaly_are_looked_up(
    store: Store, nominatim: NominatimStandIn, server: NominatimServer
) -> None:
    with store.exclusive() as connection:
        connection.execute(
            "INSERT INTO sensors (sensor, first_reading, last_reading, readings) VALUES (?, now(), now(), 1)",
            [VANCOUVER],
        )
    regions_of(store, server, GRESHAM)
    assert nominatim.places == [(45.5, -122.43)]


def test_the_nearest_town_is_looked_up_for_all_sensors_once_one_has_an_anomaly(store: Store) -> None:
    with store.exclusive() as connection:
        connection.execute(
            "INSERT INTO sensors (sensor, first_reading, last_reading, readings) VALUES (?, now(), now(), 1)",
            [VANCOUVER],
        )
    assert regions_of(store, NearestTown()) == []
    assert looked_up(store) == []
    regions_of(store, NearestTown(), GRESHAM)
    assert {sensor for sensor, *_ in looked_up(store)} == {GRESHAM, VANCOUVER}


class Patient:
    """A geocoder that needs a whole second for each answer, and does with it what a test wants."""

    method = "patient"
    remote = True

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self.meanwhile = meanwhile
        self.asked = 0

    def county(self, latitude: float, longitude: float) -> str | None:
        """The number of the question."""
        self.asked += 1
        self.meanwhile()
        return f"County {self.asked}"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause after the last question."""
    monkeypatch.setattr(geocoding, "SECONDS_BETWEEN_REQUESTS", 0.0)


@pytest.mark.usefixtures("hasty")
def test_the_store_is_free_while_a_geocoder_is_asked(store: Store, tmp_path: Path) -> None:
    def write() -> None:
        with Store(tmp_path, lock_timeout=0.2).exclusive() as connection:
            connection.execute("INSERT INTO thinned_states VALUES (now())")

    geocoder = Patient(write)
    assert regions_of(store, geocoder, GRESHAM, PORTLAND) == ["County 1", "County 2"]
    with store.inspect() as connection:
        assert rows(connection, "SELECT count(*) FROM thinned_states") == [(2,)]


@pytest.mark.usefixtures("hasty")
def test_two_runs_do_not_ask_at_once(store: Store, tmp_path: Path) -> None:
    def ask_too() -> None:
        with pytest.raises(StoreBusyError, match=r"lookup\.lock"):
            look_up_counties(Store(tmp_path, lock_timeout=0.2), geocoder, WINDOW, ELSEWHERE)

    geocoder = Patient(ask_too)
    regions_of(store, geocoder, GRESHAM)
    assert geocoder.asked == 1


@pytest.mark.usefixtures("hasty")
def test_a_run_that_dies_among_its_questions_keeps_most_of_its_answers(store: Store) -> None:
    sensors = [f"45.{number}, -122" for number in range(10, 10 + 2 * ANSWERS_AT_ONCE)]

    def die() -> None:
        if geocoder.asked == 2 * ANSWERS_AT_ONCE:
            raise KeyboardInterrupt

    geocoder = Patient(die)
    with pytest.raises(KeyboardInterrupt):
        regions_of(store, geocoder, *sensors)
    assert [sensor for sensor, *_ in looked_up(store)] == sensors[:ANSWERS_AT_ONCE]
    geocoder.meanwhile = lambda: None
    regions_of(store, geocoder, *sensors)
    assert geocoder.asked == 3 * ANSWERS_AT_ONCE


def test_the_pause_between_requests_holds_across_runs(store: Store, nominatim: NominatimStandIn) -> None:
    for sensor in (GRESHAM, PORTLAND):
        regions_of(store, NominatimServer(nominatim.url, "test"), sensor)
    first, second = nominatim.requests
    assert second.time - first.time > 0.9
