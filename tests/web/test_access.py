"""Who may see the page, under which names and addresses, and what a public one tells."""

import re
from pathlib import Path

import pytest
import requests

from aqi_dagster.errors import ConfigurationError
from aqi_dagster.web.access import is_loopback, require_guard
from aqi_dagster.web.app import PAGES
from aqi_dagster.windows import window_key
from tests.support.command_line import Site
from tests.support.html_page import Html
from tests.support.ports import free_port
from tests.support.web_page import SMOKE, STRANGE, Page, served

CLOSE = re.compile(r"-?\d{2,3}\.\d{3,}")
"""A number that may be a place."""


def test_the_password_is_asked_for_and_health_is_not_hidden(page: Page) -> None:
    with served(page.published, password="open sesame é") as guarded:  # noqa: S106
        none = requests.get(guarded.url, timeout=60)
        wrong = requests.get(f"{guarded.url}/now.json", auth=("anybody", "sesame"), timeout=60)
        right = requests.get(guarded.url, auth=("anybody", "open sesame é".encode()), timeout=60)
        health = requests.get(f"{guarded.url}/healthz", timeout=60)
    assert (none.status_code, wrong.status_code, right.status_code, health.status_code) == (401, 401, 200, 200)
    assert none.headers["WWW-Authenticate"].startswith("Basic")
    assert STRANGE not in Html(none.text).text


@pytest.mark.parametrize(
    ("host", "password", "public", "allowed"),
    [
        ("127.0.0.1", None, False, True),
        ("::1", None, False, True),
        ("localhost", None, False, True),
        ("0.0.0.0", None, False, False),  # noqa: S104
        ("192.168.1.20", "", False, False),
        ("example.org", None, False, False),
        ("0.0.0.0", "secret", False, True),  # noqa: S104
        ("::", None, True, True),
    ],
)
def test_others_than_this_machine_need_a_password_or_a_public_page(
    host: str, password: str | None, public: bool, allowed: bool
) -> None:
    if allowed:
        require_guard(host, password, public)
    else:
        assert not is_loopback(host)
        with pytest.raises(ConfigurationError, match="AQI_WEB_PASSWORD"):
            require_guard(host, password, public)


def test_a_web_site_cannot_read_the_page_under_a_name_of_its_own(page: Page) -> None:
    with served(page.published, web_url="https://air.example.org/aqi") as guarded:
        statuses = {
            host: requests.get(guarded.url, headers={"Host": host}, timeout=60).status_code
            for host in ("evil.example", "localhost:8050", "127.0.0.1", "air.example.org")
        }
    assert statuses == {"evil.example": 400, "localhost:8050": 200, "127.0.0.1": 200, "air.example.org": 200}


def test_behind_a_proxy_all_addresses_begin_with_its_path(page: Page) -> None:
    with served(page.published, prefix="/air/q") as behind:
        kept = Html(requests.get(behind.url, timeout=60).text)
        taken_off = Html(requests.get(behind.url.removesuffix("/air/q") + "/", timeout=60).text)
    for html in (kept, taken_off):
        inside = [link for link in html.links if link.startswith("/")]
        assert len(inside) > 5
        assert all(link.startswith("/air/q/") for link in inside)


def test_a_public_page_tells_no_place_more_closely_than_its_setting(page: Page) -> None:
    with served(page.published, public=True, decimals=1) as public:
        network = requests.get(f"{public.url}/network.json", timeout=60).json()
        tokens = [one["sensor"] for one in network["sensors"]]
        assert len(set(tokens)) == 28
        asked = {
            "window": {"region": STRANGE, "start": window_key(SMOKE)},
            "sensor": {"id": tokens[0]},
        }
        for name in PAGES:
            for form in ("", ".json", ".csv"):
                path = "/" if (name, form) == ("now", "") else f"/{name}{form}"
                answer = requests.get(public.url + path, params=asked.get(name), timeout=60)
                assert answer.status_code == 200
                # The lines of the map have three or four decimals, and are of no sensor.
                text = re.sub(r'<script type="application/json".*?</script>', "", answer.text, flags=re.DOTALL)
                assert places_in(text) == [], (name, form)
        exact = requests.get(f"{public.url}/sensor", {"id": "38.9399, -119.9772"}, timeout=60)
        sensor = requests.get(f"{public.url}/sensor.json", asked["sensor"], timeout=60).json()
        figures = requests.get(f"{public.url}/window", asked["window"], timeout=60).text
    assert exact.status_code == 404
    assert sensor["sensor_index"] is None
    assert "38.9399" not in figures
    assert "-119.9772" not in figures


def places_in(text: str) -> list[str]:
    """Numbers of many decimals around Lake Tahoe."""
    return [
        number
        for number in CLOSE.findall(text)
        if (38.8 < float(number) < 39.3 and len(number) < 9) or -120.3 < float(number) < -119.9
    ]


def test_tokens_of_sensors_hold_for_one_start_and_cannot_be_computed(page: Page) -> None:
    found = []
    for _ in range(2):
        with served(page.published, public=True) as public:
            shown = requests.get(f"{public.url}/network.json", timeout=60).json()
            found.append([one["sensor"] for one in shown["sensors"]])
    assert set(found[0]).isdisjoint(found[1])


def test_a_browser_is_told_to_load_nothing_from_elsewhere(page: Page) -> None:
    with served(
        page.published, tiles_url="https://tile.example.org/{z}/{x}/{y}.png", tiles_credit="Tile & Co"
    ) as tiled:
        plain, with_tiles = (requests.get(one.url, timeout=60) for one in (page, tiled))
    policy = plain.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "img-src 'self' data: blob: https://tile.example.org;" in with_tiles.headers["Content-Security-Policy"]
    assert "Map: Tile & Co." in Html(with_tiles.text).text


def test_the_command_refuses_to_be_open_to_all_and_to_share_a_port(tmp_path: Path, page: Page) -> None:
    site = Site(tmp_path)
    unguarded = site.run("web", "--host", "0.0.0.0", "--port", str(free_port()), check=False)  # noqa: S104
    port = page.url.rpartition(":")[2]
    taken = site.run("web", "--port", port, check=False)
    assert (unguarded.returncode, taken.returncode) == (1, 1)
    assert "AQI_WEB_PASSWORD" in unguarded.stderr
    assert f"Port {port} of 127.0.0.1 cannot be had" in taken.stderr
    assert "Traceback" not in unguarded.stderr + taken.stderr
