"""How long the page for people takes on a large network: 10,000 sensors that report every ten minutes for a week.

The tables are made by SQL with the shape and the order that the pipeline gives them, since what counts here is reading
them.
"""

import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import requests
import waitress
from waitress import wasyncore

from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.web.app import Choices, make_app, warm_up
from aqi_dagster.windows import WINDOW_LENGTH, window_key

SENSORS, DAYS = 10_000, 7

BEGIN = datetime(2026, 8, 1)  # noqa: DTZ001 (naive UTC)

END = BEGIN + timedelta(days=DAYS)

REGION = "Great Basin"
"""The region of half of the sensors; the others are shared out to forty."""

_TABLES = """
CREATE TEMP TABLE made AS
SELECT
    format('{:.4f}, {:.4f}', 33 + i % 100 * 0.12, -121 + i // 100 * 0.11) AS sensor,
    i,
    CASE WHEN i % 2 = 0 THEN 'Great Basin' ELSE 'County ' || (i % 40) END AS region
FROM range($sensors) AS sensors(i);

INSERT INTO sensors BY NAME
SELECT
    sensor, $begin AS first_reading, $end - INTERVAL 10 MINUTES AS last_reading, $days * 144 AS readings,
    sensor AS place
FROM made;

INSERT INTO readings BY NAME
SELECT
    sensor,
    moment + to_seconds(i % 600) AS created_at,
    to_timestamp(epoch(moment) // 43200 * 43200)::TIMESTAMP AS window_start,
    4 + i % 7 + 90 * (moment >= $end - INTERVAL 9 HOURS)::INTEGER AS pm25_cf1,
    40 AS humidity,
    false AS repeated, 1 AS topic_generation, 0 AS kafka_partition, row_number() OVER () AS kafka_offset,
    $end AS ingested_at
FROM range($begin, $end, INTERVAL 10 MINUTES) AS moments(moment), made
ORDER BY moment;

INSERT INTO windows BY NAME
SELECT window_start, count(*) AS readings, count(*) AS scored, 1 AS revision, 1 AS selected, 1 AS classified
FROM readings
GROUP BY window_start;

INSERT INTO sensor_health BY NAME
SELECT
    sensor, window_start, region, 12 AS hours, 8 AS mean_pm25, 11 AS max_hour_pm25, 6 AS corrected_pm25,
    0 AS hours_above_35, 8 AS neighbours_pm25, CASE WHEN i % 50 = 0 THEN 'stuck' END AS fault,
    CASE WHEN i % 50 = 0 THEN 'Read the same 5.00 ug/m3 all the time.' END AS reason, false AS unlike_neighbours,
    false AS is_new, false AS on_probation, false AS in_dispute, false AS is_local
FROM made, windows;

INSERT INTO regional_hours BY NAME
SELECT DISTINCT region, hour, 6.0 AS level, 100 AS healthy
FROM made, range($begin, $end, INTERVAL 1 HOUR) AS hours(hour);

INSERT INTO regional_windows BY NAME
SELECT
    region, window_start, window_start + INTERVAL 12 HOURS AS window_end, list(sensor) AS sensors,
    count(*)::INTEGER AS count_sensors, 100 AS count_anomalies, 'smoke' AS verdict, 'network' AS rules, 55.0 AS level,
    list(sensor) AS healthy_sensors, [] AS broken_sensors, 'high' AS confidence, 'It was smoky' AS reason
FROM made, windows
WHERE window_start >= $end - INTERVAL 12 HOURS
GROUP BY region, window_start;

INSERT INTO conditions BY NAME
SELECT
    region, $end AS as_of, 55.0 AS level, 1.0 AS trend, 'smoke' AS state, $end - INTERVAL 9 HOURS AS since,
    list(sensor) AS healthy, [] AS broken, 'network' AS rules, 50.0 AS nowcast,
    137 AS aqi_of_nowcast, 'It is smoky.' AS reason
FROM made
GROUP BY region;
"""

_ASKED: dict[str, dict[str, str]] = {
    "/": {},
    "/?region=": {"region": REGION},
    "/calendar": {"region": REGION},
    "/window, 5,000 sensors": {"region": REGION, "start": window_key(END - WINDOW_LENGTH)},
    "/window, 250 sensors": {"region": "County 1", "start": window_key(END - WINDOW_LENGTH)},
    "/sensor": {"id": "33.0000, -121.0000"},
    "/alerts": {},
    "/network": {},
}


def figures(repeat: int) -> list[list[object]]:
    """For each page the seconds until the server has answered, kilobytes, and ms to the first paint in Chromium."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        with store.exclusive() as writer:
            for statement in writer.extract_statements(_TABLES):
                parameters = {"begin": BEGIN, "end": END, "sensors": SENSORS, "days": DAYS}
                writer.execute(statement, {name: parameters[name] for name in statement.named_parameters})
        store.publish()
        with _served(store.published) as url:
            return [_measure(url, page, asked, repeat) for page, asked in _ASKED.items()]


def _measure(url: str, page: str, asked: dict[str, str], repeat: int) -> list[object]:
    address = url + page.partition(",")[0].partition("?")[0]
    seconds, size = [], 0
    for _ in range(repeat):
        started = time.perf_counter()
        answer = requests.get(address, asked, timeout=120, stream=True)
        answer.raise_for_status()
        size = len(answer.raw.read())
        seconds.append(time.perf_counter() - started)
    whole = requests.Request("GET", address, params=asked).prepare().url or address
    return [page, round(statistics.median(seconds), 3), size // 1000, *_paint(whole, repeat)]


def _paint(address: str, repeat: int) -> list[object]:
    """Milliseconds to the first paint of content, and to drawn pictures; dashes without Playwright or Chromium."""
    chromium = shutil.which("chromium")
    if find_spec("playwright") is None or chromium is None:
        return ["-", "-"]
    from playwright.sync_api import sync_playwright

    first, drawn = [], []
    with (
        sync_playwright() as driver,
        driver.chromium.launch(executable_path="/usr/bin/chromium", chromium_sandbox=False) as browser,
    ):
        for _ in range(repeat):
            page = browser.new_page()
            page.goto(address, timeout=120_000)
            page.wait_for_function(
                "[...document.querySelectorAll('[data-figure]')].every(one => one.dataset.drawn)", timeout=120_000
            )
            drawn.append(page.evaluate("performance.now()"))
            first.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
            page.close()
    return [round(statistics.median(first)), round(statistics.median(drawn))]


@contextmanager
def _served(published: Path) -> Iterator[str]:
    app = make_app(Choices(published, clock=lambda: END))
    warm_up()
    server = waitress.create_server(app, host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        server.trigger.pull_trigger(lambda: wasyncore.close_all(server._map, ignore_all=True))
        thread.join()
        server.task_dispatcher.shutdown()
