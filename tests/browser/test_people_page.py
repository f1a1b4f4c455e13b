"""What people see and do on the page for people, in a browser."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from aqi_dagster.web.app import PAGES
from aqi_dagster.windows import window_key
from tests.support.axe import barriers
from tests.support.waiting import LIMIT_SECONDS, wait_for
from tests.support.web_page import BROKEN, SMOKE, STRANGE, publish_network, served
from tests.support.web_page import Page as Server

if TYPE_CHECKING:
    from playwright.sync_api import Page

ADDRESSES = {
    "now": "/",
    "calendar": "/calendar",
    "window": f"/window?{urlencode({'region': STRANGE, 'start': window_key(SMOKE)})}",
    "sensor": f"/sensor?{urlencode({'id': BROKEN})}",
    "alerts": "/alerts",
    "network": "/network",
}

WIDTHS = {390: 844, 1200: 800, 1920: 1080}
"""A telephone, a desk, a wall."""

HERE = ("http://127.0.0.1:", "data:", "blob:")

SCREENSHOTS = Path(__file__).with_name("screenshots")

DRAWN = "[...document.querySelectorAll('[data-figure]')].every(place => place.dataset.drawn)"

NARROWER_THAN_THE_PAGE = "document.documentElement.scrollWidth <= innerWidth"


@pytest.fixture(scope="module")
def server(browser: Callable[[], "Page"], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The page of six days of the synthetic summer."""
    store = publish_network(tmp_path_factory.mktemp("people"))
    with served(store.published) as server:
        yield server


@pytest.fixture
def view(browser: Callable[[], "Page"], server: Server) -> Iterator["Page"]:
    """A page in the browser in which no script fails, and which loads nothing from elsewhere."""
    with closing(browser()) as page:
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.on("request", lambda asked: None if asked.url.startswith(HERE) else faults.append(asked.url))
        yield page
        assert faults == []


def show(page: "Page", server: Server, name: str, width: int = 1200) -> None:
    page.set_viewport_size({"width": width, "height": WIDTHS[width]})
    page.goto(server.url + ADDRESSES[name])
    page.wait_for_function(DRAWN)


def keep(page: "Page", name: str) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"people_{name}.png", full_page=True)


def test_from_the_message_to_where_since_when_and_whether_to_believe_it(view: "Page", server: Server) -> None:
    show(view, server, "window", 390)
    assert view.get_by_role("heading", name="Suspected Smoke Event").is_visible()
    assert view.get_by_text("healthy sensors averaged").first.is_visible()
    assert view.evaluate(NARROWER_THAN_THE_PAGE)
    before = view.evaluate("document.getElementById('map').data.at(-2).marker.color.join()")
    slider = view.get_by_label("Hour", exact=True)
    slider.focus()
    slider.press("Home")
    wait_for("another hour", lambda: view.locator("#hour-text").text_content() == "Fri 22 Jul 2022, 05:00 to 06:00 PDT")
    assert view.evaluate("document.getElementById('map').data.at(-2).marker.color.join()") != before
    keep(view, "window_core")
    view.get_by_role("link", name="Event before").click()
    view.get_by_role("heading", name="Malfunctioning Sensor").wait_for()


def test_now_loads_itself_again_when_a_new_copy_is_published(
    view: "Page", tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = publish_network(tmp_path_factory.mktemp("replaced"))
    with served(store.published) as server:
        view.goto(server.url)
        view.wait_for_function(DRAWN)
        assert view.get_by_text("Clear", exact=True).is_visible()
        with store.exclusive() as writer:
            writer.execute("UPDATE conditions SET state = 'smoke'")
        store.publish()
        view.evaluate("watch()")
        view.get_by_text("Smoke", exact=True).wait_for(timeout=LIMIT_SECONDS * 1000)


def test_a_click_on_a_sensor_of_the_map_leads_to_its_page(view: "Page", server: Server) -> None:
    show(view, server, "now")
    box = view.locator("#map").bounding_box()
    place = view.evaluate(
        """() => {
            const map = document.getElementById('map'), trace = map.data.find(one => one.name === 'broken');
            const axes = map._fullLayout;
            return [axes.xaxis._offset + axes.xaxis.c2p(trace.x[0]), axes.yaxis._offset + axes.yaxis.c2p(trace.y[0])];
        }"""
    )
    assert box is not None
    view.mouse.move(box["x"] + place[0] - 2, box["y"] + place[1] - 2)
    view.mouse.move(box["x"] + place[0], box["y"] + place[1])
    view.locator(".hoverlayer .hovertext").wait_for()
    keep(view, "hover")
    view.mouse.click(box["x"] + place[0], box["y"] + place[1])
    view.get_by_text("What people marked").or_(view.get_by_text("Health, window by window")).first.wait_for()
    assert "/sensor?id=" in view.url


def test_nothing_serious_shuts_anybody_out_of_now(view: "Page", server: Server) -> None:
    show(view, server, "now", 390)
    assert barriers(view) == []


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_each_page_fits_and_shuts_nobody_out(view: "Page", server: Server, name: str, width: int, scheme: str) -> None:
    view.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    show(view, server, name, width)
    assert view.evaluate(NARROWER_THAN_THE_PAGE)
    assert barriers(view) == []
    keep(view, f"{name}_{width}_{scheme}")


@pytest.mark.long
def test_all_that_is_said_can_be_read_without_scripts(browser: Callable[[], "Page"], server: Server) -> None:
    with closing(browser()) as opener:
        context = opener.context.browser.new_context(java_script_enabled=False)  # type: ignore[union-attr]
        page = context.new_page()
        page.goto(server.url + ADDRESSES["window"])
        assert page.get_by_role("heading", name="Suspected Smoke Event").is_visible()
        assert page.get_by_text("The picture needs JavaScript").first.is_visible()
        context.close()


@pytest.mark.long
def test_every_page_can_be_reached_by_the_keyboard(view: "Page", server: Server) -> None:
    show(view, server, "now")
    view.keyboard.press("Tab")
    assert view.evaluate("document.activeElement.textContent") == "To the content"
    reached = []
    for _ in range(6):
        view.keyboard.press("Tab")
        reached.append(view.evaluate("document.activeElement.textContent").strip())
    assert reached[:5] == ["Smoke or sensor", "Now", "Calendar", "Alerts", "Network"]
