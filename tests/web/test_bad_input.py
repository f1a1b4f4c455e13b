"""What a page says to questions that cannot be answered, and of names that look like something else."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import requests
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.windows import window_key
from tests.support.html_page import Html
from tests.support.web_page import SMOKE, STRANGE, Page, served

START = datetime(2022, 7, 22, 12)  # noqa: DTZ001 (naive UTC)


@pytest.mark.parametrize(
    ("status", "address", "asked", "words"),
    [
        (404, "/window", {"region": "Nowhere", "start": window_key(SMOKE)}, "no region is called so"),
        (404, "/window", {"region": STRANGE, "start": "1999-01-01T00:00"}, "nothing is known in the window"),
        (404, "/sensor", {"id": "1.0, 2.0"}, "ever reported here"),
        (404, "/", {"region": "'; DROP TABLE readings; --"}, "No region is called"),
        (404, "/calendar", {"region": "<img src=x onerror=alert(1)>"}, "No region is called"),
        (404, "/no/such/page", {}, "not found"),
        (400, "/window", {}, "The address lacks “region”"),
        (400, "/window", {"region": STRANGE}, "The address lacks “start”"),
        (400, "/window", {"region": STRANGE, "start": "2022-07-22T11:00"}, "no window starts then"),
        (400, "/window", {"region": STRANGE, "start": "0001-01-01T00:00"}, "no window starts then"),
        (400, "/window", {"region": STRANGE, "start": window_key(SMOKE), "measure": "smell"}, "read or corrected"),
        (400, "/calendar", {"until": "9999-12-31T12:00"}, "no window starts then"),
        (400, "/sensor", {}, "The address lacks “id”"),
        (400, "/sensor", {"id": "1.0, 2.0", "days": "5"}, "it may be 2, 14, 90"),
        (400, "/alerts", {"before": "-1"}, "whole number"),
        (400, "/alerts", {"before": "²"}, "whole number"),
        (400, "/alerts", {"status": "lost"}, "it may be pending"),
        (400, "/network", {"page": "9" * 400}, "whole number"),
        (400, "/network", {"state": "tired"}, "it may be broken"),
        (400, "/now.csv", {"table": "secrets"}, "has no table"),
        (405, "/", {}, "not allowed"),
    ],
)
def test_a_question_that_cannot_be_answered_is_told_so(
    page: Page, status: int, address: str, asked: dict[str, str], words: str
) -> None:
    method = "POST" if status == 405 else "GET"
    answer = requests.request(method, page.url + address, params=asked, timeout=60)
    html = Html(answer.text)
    assert answer.status_code == status
    assert words in html.text
    assert "Traceback" not in answer.text
    assert "data-reloads" not in answer.text
    assert "img" not in html.tags


_SENSOR = """
INSERT INTO sensors BY NAME
SELECT '45.5, -122.6' AS sensor, $1 AS first_reading, $1 AS last_reading, 1 AS readings
"""

_HEALTH = """
INSERT INTO sensor_health BY NAME
SELECT
    '45.5, -122.6' AS sensor, $1 AS window_start, 'x' AS region, 12 AS hours, 1 AS mean_pm25, 1 AS max_hour_pm25,
    1 AS corrected_pm25, 0 AS hours_above_35, 'stuck' AS fault, 'x' AS reason, false AS unlike_neighbours,
    false AS is_new, false AS on_probation, false AS in_dispute, false AS is_local
"""


def test_what_an_address_asks_besides_changes_nothing(page: Page) -> None:
    asked = {"table": "sensors", "page": "1", "name": "x", "self": "y", "form": "csv", "a b": "<i>"}
    answer = requests.get(f"{page.url}/network", asked, timeout=60)
    assert answer.status_code == 200
    assert "i" not in Html(answer.text).tags


@pytest.fixture(scope="module")
def renamed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Page]]:
    """A store of one window whose region and sensor get other names, and its page."""
    store = Store(tmp_path_factory.mktemp("renamed"), lock_timeout=60)
    with store.exclusive() as writer:
        writer.execute(_SENSOR, [START])
        writer.execute(_HEALTH, [START])
    store.publish()
    with served(store.published, now=datetime(2022, 7, 23)) as page:  # noqa: DTZ001 (naive UTC)
        yield store, page


NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=60).filter(str.strip)


@given(region=NAMES, name=NAMES)
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(region="../..", name="%2e%2e/?#&=+")
@example(region="a\\b;c|d`e", name="</script><script>alert(1)</script>")
@example(region="{{ 7 * 7 }}", name="%{x} <a href='javascript:alert(1)'>&lt;")
def test_every_name_comes_back_as_it_was_from_every_address(
    renamed: tuple[Store, Page], region: str, name: str
) -> None:
    store, page = renamed
    with store.exclusive() as writer:
        writer.execute("UPDATE sensor_health SET region = $1, reason = $2", [region, name])
        writer.execute("UPDATE sensors SET name = $1", [name])
    store.publish()
    now = Html(requests.get(page.url, timeout=60).text)
    assert region.split() == [word for word in now.text.split() if word in region.split()][: len(region.split())]
    for link in {link for link in now.links if "region=" in link or "id=" in link}:
        answer = requests.get(page.url + link, timeout=60)
        assert answer.status_code == 200, link
        html = Html(answer.text)
        wanted = name if "id=" in link else region
        assert " ".join(wanted.split())[:90] in " ".join(html.text.split())
    window = requests.get(page.url + "/window.json", {"region": region, "start": window_key(START)}, timeout=60).json()
    assert window["region"] == region
    assert [one["reason"] for one in window["sensors"]] == [name]


def test_without_a_copy_it_says_so_until_there_is_one(tmp_path: Path) -> None:
    store = Store(tmp_path, lock_timeout=60)
    with served(store.published) as page:
        before = requests.get(page.url, timeout=60)
        health = requests.get(f"{page.url}/healthz", timeout=60)
        with store.exclusive():
            pass
        store.publish()
        after = requests.get(page.url, timeout=60)
    assert (before.status_code, health.status_code, after.status_code) == (503, 503, 200)
    assert "Nothing is published yet" in before.text
    assert "data-reloads" in before.text
    assert "No sensor has reported yet" in after.text


@pytest.mark.parametrize("spoil", ["version", "garbage"])
def test_a_copy_that_cannot_be_read_is_told_and_not_shown(tmp_path: Path, spoil: str) -> None:
    store = Store(tmp_path, lock_timeout=60)
    with store.exclusive() as writer:
        writer.execute("UPDATE schema_version SET version = 999")
    store.publish()
    if spoil == "garbage":
        store.published.unlink()
        store.published.write_bytes(b"no database" * 1000)
    with served(store.published) as page:
        answer = requests.get(page.url, timeout=60)
        health = requests.get(f"{page.url}/healthz", timeout=60)
    assert (answer.status_code, health.status_code) == (503, 503)
    assert "cannot be read" in answer.text
    assert str(tmp_path) not in answer.text


def test_pages_of_an_empty_copy_say_that_there_is_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path, lock_timeout=60)
    with store.exclusive():
        pass
    store.publish()
    with served(store.published) as page:
        statuses = [
            requests.get(page.url + path, timeout=60).status_code for path in ("/", "/calendar", "/alerts", "/network")
        ]
    assert statuses == [200] * 4
