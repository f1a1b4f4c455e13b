"""The page for people on a real server, with a copy that the pipeline published."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import waitress
from waitress import wasyncore

from aqi_dagster.demo.summer import Summer
from aqi_dagster.message_fields import INDEX_FIELD, LOCATION_FIELD, NAME_FIELD
from aqi_dagster.pipeline.detection.anomalies import Thresholds
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.health.known_trouble import Record, record_trouble
from aqi_dagster.pipeline.regions.choice import RegionChoice
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.verdicts.look import Judging, look
from aqi_dagster.pipeline.verdicts.rule_sets import RULE_SETS
from aqi_dagster.web.app import Choices, make_app
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange
from tests.support.messages import FIRST_WINDOW, RawMessage, message
from tests.support.pipeline import CHOICES, Pipeline
from tests.support.waiting import LIMIT_SECONDS

DAYS = 6

LAST = FIRST_WINDOW + timedelta(days=DAYS) - WINDOW_LENGTH
"""The newest window that has ended."""

SMOKE = FIRST_WINDOW + 9 * WINDOW_LENGTH

NOW = FIRST_WINDOW + timedelta(days=DAYS, hours=5)
"""The present moment of the page, and of the look at the open window."""

STRANGE = "A/B & <b>C</b>? #1 'x' %2F é ../"
"""The name of the region: what could be taken for a part of an address, for HTML, or for SQL."""

SCRIPT = "<script>alert(1)</script>\"' OR 1=1; --"
"""The name of a sensor that is broken."""

BROKEN, SILENT, INSIDE = "39.1111, -120.1111 #31", "39.1234, -120.1234 #32", "39.0999, -120.0999 #33"

REGION = RegionChoice("name", STRANGE, None, "", "", "Elsewhere")

RULES = RULE_SETS["network"]


def messages() -> Iterator[RawMessage]:
    """Six days of the synthetic summer and five hours more, a stuck, a silent and an inside sensor, and no readings."""
    yield from ((one.key, one.value) for one in Summer(FIRST_WINDOW).messages(FIRST_WINDOW, NOW))
    moment = FIRST_WINDOW
    while moment < NOW:
        yield message(BROKEN.partition(" #")[0], moment, 3000.0, **{INDEX_FIELD: "31", NAME_FIELD: SCRIPT})
        yield message(INSIDE.partition(" #")[0], moment, 12.0, **{INDEX_FIELD: "33", LOCATION_FIELD: "1"})
        if moment < LAST:
            yield message(SILENT.partition(" #")[0], moment, 6.0, **{INDEX_FIELD: "32", NAME_FIELD: "Silent = Hill"})
        moment += timedelta(minutes=20)
    yield b"no key", b"no value"
    yield None, b"{}"


def publish_network(folder: Path) -> Store:
    """Have the pipeline take in, judge and publish :func:`messages` by the network rules, with a look at the end."""
    store = Store(folder, lock_timeout=60)
    windows = WindowRange(FIRST_WINDOW, LAST)
    with store.exclusive() as writer:
        choices = replace(
            CHOICES, rules=RULES, regions=REGION, parameters=DetectorParameters(), thresholds=Thresholds()
        )
        pipeline = Pipeline(writer, choices)
        pipeline.log.send(list(messages()))
        pipeline.pull_at(NOW)
        record_trouble(writer, Record(SILENT, "excluded", LAST, None, "a wasp's nest", NOW))
        pipeline.run(windows)
        regions = REGION.regions(writer)
        look(writer, NOW, Judging(FIRST_WINDOW, regions, RULES, choices.parameters, choices.thresholds))
    store.publish()
    return store


@dataclass(frozen=True)
class Page:
    """A server of the page, and the copy that it shows."""

    url: str
    published: Path


@contextmanager
def served(published: Path, prefix: str = "", now: datetime = NOW, **choices: object) -> Iterator[Page]:
    """The page on waitress, as ``aqi-dagster web`` serves it."""
    app = make_app(Choices(published, clock=lambda: now, **choices))  # type: ignore[arg-type]
    server = waitress.create_server(app, host="127.0.0.1", port=0, threads=4, url_prefix=prefix)
    thread = threading.Thread(target=server.run, name="page")
    thread.start()
    try:
        yield Page(f"http://127.0.0.1:{server.effective_port}{prefix}", published)
    finally:
        # Closed from within its own loop, which would otherwise not notice.
        server.trigger.pull_trigger(lambda: wasyncore.close_all(server._map, ignore_all=True))
        thread.join(LIMIT_SECONDS)
        server.task_dispatcher.shutdown()
