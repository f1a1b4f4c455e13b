"""What each page shows, for people and for programs."""

import csv
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import requests

from aqi_dagster.page_addresses import now_address, window_address
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.web.app import PAGES
from aqi_dagster.windows import window_key
from tests.support.html_page import Html
from tests.support.messages import message, take_in
from tests.support.tables import rows
from tests.support.web_page import BROKEN, INSIDE, LAST, NOW, SCRIPT, SILENT, SMOKE, STRANGE, Page, served

ASKED: dict[str, dict[str, str]] = {
    "now": {"region": STRANGE},
    "calendar": {"region": STRANGE},
    "window": {"region": STRANGE, "start": window_key(SMOKE)},
    "sensor": {"id": BROKEN},
    "alerts": {},
    "network": {},
}
"""What each page is asked for."""


def path(page: str, form: str = "") -> str:
    return "/" if page == "now" and not form else f"/{page}{form}"


def get(page: Page, address: str, /, **asked: str) -> requests.Response:
    return requests.get(page.url + address, params=asked, timeout=60)


def json_of(page: Page, name: str, /, **asked: str) -> dict[str, Any]:
    answer = get(page, path(name, ".json"), **(asked or ASKED[name]))
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


@pytest.mark.parametrize("name", PAGES)
def test_each_page_shows_names_as_text_and_leads_only_to_pages_that_are_there(page: Page, name: str) -> None:
    answer = get(page, path(name), **ASKED[name])
    html = Html(answer.text)
    assert answer.status_code == 200
    assert STRANGE in html.text
    assert "<script>alert" not in answer.text
    assert answer.text.count("<b>") == 0
    inside = {link for link in html.links if link.startswith("/")}
    assert len(inside) > 5
    for link in sorted(inside)[:25]:
        assert requests.get(page.url + link, timeout=60).status_code == 200, link


@pytest.mark.parametrize("name", PAGES)
def test_json_and_csv_hold_what_the_page_shows(page: Page, name: str) -> None:
    shown = json_of(page, name)
    tables = [key for key, value in shown.items() if isinstance(value, list) and value and isinstance(value[0], dict)]
    assert tables
    for table in tables:
        answer = get(page, path(name, ".csv"), table=table, **ASKED[name])
        if answer.status_code == 400:
            continue
        (header, *lines) = csv.reader(io.StringIO(answer.text))
        assert header == list(shown[table][0])
        assert len(lines) == len(shown[table])


def test_now_says_in_words_how_the_air_is_and_by_whom(page: Page) -> None:
    (region,) = json_of(page, "now")["regions"]
    with duckdb.connect(str(page.published), read_only=True) as copy:
        ((state, level, healthy, broken, reason),) = rows(
            copy, "SELECT state, level, len(healthy), len(broken), reason FROM conditions"
        )
    assert (region["state"], region["level"], region["reason"]) == (state, level, reason) == ("clear", level, reason)
    assert (region["healthy_sensors"], region["broken_sensors"]) == (healthy, broken) == (25, 1)
    text = Html(get(page, "/").text).text
    assert "Clear" in text
    assert "26 Good" in " ".join(text.split())


def test_now_tells_broken_silent_and_inside_sensors_from_the_others(page: Page) -> None:
    states = {one["sensor"]: one["state"] for one in json_of(page, "now", all="yes")["sensors"]}
    others = {sensor: state for sensor, state in states.items() if sensor not in (BROKEN, SILENT, INSIDE)}
    assert (states[BROKEN], states[SILENT], states[INSIDE]) == ("broken", "silent", "inside")
    assert set(others.values()) == {"healthy"}
    assert len(others) == 25


def test_the_window_of_smoke_says_why_how_bad_and_by_whom(page: Page) -> None:
    shown = json_of(page, "window")
    with duckdb.connect(str(page.published), read_only=True) as copy:
        ((verdict, level, reason),) = rows(
            copy, f"SELECT verdict, level, reason FROM regional_windows WHERE window_start = '{SMOKE}'"
        )
        ((readings,),) = rows(copy, f"SELECT count(*) FROM readings WHERE window_start = '{SMOKE}' AND NOT repeated")
    assert (shown["verdict"], shown["level"]) == (verdict, level) == ("smoke", level)
    assert shown["why"] == reason
    assert shown["readings"] == readings
    assert {one["state"] for one in shown["sensors"] if one["sensor"] == BROKEN} == {"broken"}
    assert len(shown["level_by_hour"]) == 24
    assert [alert["verdict"] for alert in shown["alerts"] if alert["kind"] == "verdict"] == ["smoke"]


def test_a_clear_window_says_that_and_one_without_readings_is_not_there(page: Page) -> None:
    clear = json_of(page, "window", region=STRANGE, start=window_key(SMOKE - timedelta(days=1)))
    assert (clear["verdict_in_words"], clear["verdict"]) == ("Malfunctioning Sensor", "malfunction")
    answer = get(page, "/window", region=STRANGE, start=window_key(LAST + timedelta(days=9)))
    assert answer.status_code == 404


def test_the_calendar_has_each_window_once_with_its_verdict(page: Page) -> None:
    windows = json_of(page, "calendar")["windows"]
    with duckdb.connect(str(page.published), read_only=True) as copy:
        verdicts = dict(
            rows(copy, "SELECT strftime(window_start, '%Y-%m-%dT%H:%M:%SZ'), verdict FROM regional_windows")
        )
    found = {one["window_start"]: one["state"] for one in windows}
    assert len(found) == len(windows) == 731
    assert {
        start: state for start, state in found.items() if state in ("smoke", "malfunction", "undecided")
    } == verdicts
    assert "smoke" in verdicts.values()


def test_the_page_of_a_sensor_has_its_faults_and_what_people_marked(page: Page) -> None:
    broken = json_of(page, "sensor")
    assert (broken["name"], broken["fault"], broken["sensor_index"]) == (SCRIPT, "impossible", 31)
    assert all(one["fault"] for one in broken["health"])
    marked = json_of(page, "sensor", id=SILENT, days="90")
    assert [one["reason"] for one in marked["known_trouble"]] == ["a wasp's nest"]


def test_the_network_counts_sensors_and_rejected_messages(page: Page) -> None:
    shown = json_of(page, "network")
    assert shown["by_state"] == {"broken": 1, "silent": 1, "inside": 1, "no vote": 0, "not judged": 0, "healthy": 25}
    assert sum(one["messages"] for one in shown["rejected_messages"]) == 2
    assert len(json_of(page, "network", state="silent")["sensors"]) == 1


def test_sensors_that_fill_several_pages_are_shown_page_by_page(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aqi_dagster.web.network.PAGE_LENGTH", 10)
    texts = [get(page, "/network", page=str(number)) for number in (1, 2, 3)]
    sensors = [{link for link in Html(one.text).links if link.startswith("/sensor")} for one in texts]
    assert [len(those) for those in sensors] == [10, 10, 8]
    assert len(set.union(*sensors)) == 28
    assert [link for link in Html(texts[0].text).links if link.startswith("/network?page=")] == ["/network?page=2"]


def test_a_sensor_that_was_never_judged_is_not_called_healthy(tmp_path: Path) -> None:
    store = Store(tmp_path, lock_timeout=60)
    with store.exclusive() as writer:
        take_in(writer, [message("45.5, -122.6", NOW - timedelta(hours=1), 8.0)], now=NOW)
    store.publish()
    with served(store.published) as page:
        (sensor,) = json_of(page, "now", all="yes")["sensors"]
    assert sensor["state"] == "not judged"


def test_no_cell_of_a_csv_is_a_formula(page: Page) -> None:
    answer = get(page, "/now.csv", table="sensors")
    cells = [cell for line in csv.reader(io.StringIO(answer.text)) for cell in line]
    texts = [cell for cell in cells if cell[:1] in ("=", "+", "@", "-")]
    assert all(float(cell) < 0 for cell in texts)


def test_addresses_of_alerts_lead_to_the_region_and_the_window(page: Page) -> None:
    for address, words in [
        (now_address(page.url, STRANGE), STRANGE),
        (window_address(page.url, STRANGE, SMOKE), "Suspected Smoke Event"),
    ]:
        answer = requests.get(address, timeout=60)
        assert answer.status_code == 200
        assert words in Html(answer.text).text


def test_machines_are_told_whether_it_is_up(page: Page) -> None:
    answer = get(page, "/healthz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


def test_answers_are_compressed_and_the_script_is_kept(page: Page) -> None:
    answer = get(page, "/")
    (script,) = {part.split('"')[0] for part in answer.text.split('<script src="') if part.startswith("/plotly")}
    kept = requests.get(page.url + script, timeout=60)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "immutable" in kept.headers["Cache-Control"]
    assert b"plotly.js" in kept.content[:200]


def test_figures_embedded_in_a_page_are_whole_json(page: Page) -> None:
    answer = get(page, "/window", **ASKED["window"])
    figures = [
        part.split("</script>")[0].partition(">")[2]
        for part in answer.text.split('<script type="application/json"')[1:]
    ]
    series, by_hour = (json.loads(figure) for figure in figures)
    assert len(series["data"]) == 28
    assert len(by_hour["steps"]) == len(by_hour["hours"]) == 12
    assert "script" not in {trace.get("name") for trace in series["data"]}
