"""The pictures of the page for people in README.md, of what `make demo` published.

``python -m tests.support.page_pictures`` takes them anew."""

import os
import shutil
import sys
from datetime import datetime
from io import BytesIO
from pathlib import Path
from urllib.parse import urlencode

import duckdb
from PIL import Image
from playwright.sync_api import sync_playwright

from aqi_dagster.windows import window_key
from tests.support.places import TOP
from tests.support.web_page import served

FOLDER = TOP / "docs" / "images"

PUBLISHED = TOP / ".demo" / "data" / "aqi.duckdb"

WIDTH, HEIGHT = 1200, 1000

COLOURS = 64
"""Of a picture: it is of few colours, and a third of the size."""

_SMOKE = """
SELECT region, window_start, (SELECT max(last_reading) FROM sensors)
FROM regional_windows
WHERE verdict = 'smoke'
ORDER BY count_sensors DESC, window_start DESC
LIMIT 1
"""


def main() -> None:
    """Take the picture of the newest window of smoke that most sensors saw."""
    published = Path(sys.argv[1]) if len(sys.argv) > 1 else PUBLISHED
    with duckdb.connect(str(published), read_only=True) as copy:
        ((region, start, newest),) = copy.execute(_SMOKE).fetchall()
    with served(published, now=newest) as server, sync_playwright() as driver:
        chromium = shutil.which("chromium")
        sandbox = os.geteuid() != 0
        with driver.chromium.launch(executable_path=chromium, chromium_sandbox=sandbox) as browser:
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            page.goto(f"{server.url}/window?{address(region, start)}")
            page.wait_for_function("[...document.querySelectorAll('[data-figure]')].every(one => one.dataset.drawn)")
            picture = page.screenshot()
    Image.open(BytesIO(picture)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
        FOLDER / "page.png", optimize=True
    )


def address(region: str, start: datetime) -> str:
    """The query of a window's page."""
    return urlencode({"region": region, "start": window_key(start)})


if __name__ == "__main__":
    main()
