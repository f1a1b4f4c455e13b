"""A headless Chromium on a real `dagster dev` that holds the real results of six days of the synthetic summer."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.demo.summer import Summer
from aqi_dagster.demo.webhook import WebhookReceiver
from aqi_dagster.feeds.producer import produce
from tests.support.command_line import Site
from tests.support.dagster_dev import dagster_dev
from tests.support.lacking import lacking
from tests.support.pages import FIRST_WINDOW, KEYS, SMOKE, WINDOWS, Installation
from tests.support.places import TOP
from tests.support.ports import free_port
from tests.support.topics import Topic
from tests.support.waiting import LIMIT_SECONDS

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCREENSHOTS = Path(__file__).with_name("screenshots")


@pytest.fixture(scope="package")
def browser() -> Iterator[Callable[[], "Page"]]:
    """Opens a new page in Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason=lacking("Playwright"))
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip(lacking("Chromium"))
    # Chromium's sandbox refuses root, which containers mostly are.
    sandbox = os.geteuid() != 0
    with (
        playwright.sync_playwright() as driver,
        driver.chromium.launch(executable_path=chromium, chromium_sandbox=sandbox) as browser,
    ):

        def new_page() -> "Page":
            page: Page = browser.new_page(viewport={"width": 1200, "height": 760}, timezone_id="UTC")
            page.set_default_timeout(LIMIT_SECONDS * 1000)
            return page

        yield new_page


@pytest.fixture(scope="package")
def installation(
    browser: Callable[[], "Page"], broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """All windows but the last two are materialized by the command line before `dagster dev` starts."""
    folder = tmp_path_factory.mktemp("browser")
    (folder / "dagster").mkdir()
    shutil.copy(TOP / "dagster.yaml", folder / "dagster")
    topic = Topic("browser", broker.bootstrap_servers)
    topic.create()
    end = FIRST_WINDOW + timedelta(days=WINDOWS / 2)
    produce({"bootstrap.servers": topic.servers}, topic.name, Summer(FIRST_WINDOW).messages(FIRST_WINDOW, end))
    port = free_port()
    with WebhookReceiver() as slack:
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": topic.servers,
            "KAFKA_TOPIC": topic.name,
            "AQI_FIRST_WINDOW": KEYS[0],
            "AQI_DAGSTER_URL": f"http://127.0.0.1:{port}",
            "SLACK_WEBHOOK_URL": slack.url,
        }
        site = Site(folder, settings)
        site.run("materialize", "--from", KEYS[0], "--to", SMOKE)
        with dagster_dev(folder, settings, port) as server:
            yield Installation(site, server, slack)


@pytest.fixture
def page(browser: Callable[[], "Page"], installation: Installation, request: pytest.FixtureRequest) -> Iterator["Page"]:
    """A page that keeps a screenshot of where the test ended, under the test's name."""
    with closing(browser()) as page:
        yield page
        SCREENSHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{request.node.name.removeprefix('test_')}.png")
