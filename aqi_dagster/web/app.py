"""The page as a WSGI application: addresses, errors, and what browsers keep."""

import gzip
import hashlib
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, lru_cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import Flask, Response, render_template, request, url_for

from aqi_dagster.errors import StoreError
from aqi_dagster.pipeline import aqi
from aqi_dagster.pipeline.alerts.local_time import LocalTime
from aqi_dagster.pipeline.numbers import counted, rounded
from aqi_dagster.pipeline.store.copies import Copies, Copy
from aqi_dagster.web import questions
from aqi_dagster.web.access import ask_for_password, known_hosts, set_security_headers
from aqi_dagster.web.alert_rows import STATUSES
from aqi_dagster.web.alerts import alerts
from aqi_dagster.web.calendar import calendar
from aqi_dagster.web.exports import as_csv, as_json, embedded
from aqi_dagster.web.failures import add_errors
from aqi_dagster.web.lines import Frame, lines_within
from aqi_dagster.web.network import network
from aqi_dagster.web.now import now
from aqi_dagster.web.places import Places
from aqi_dagster.web.sensor import sensor
from aqi_dagster.web.sensors_now import STATES
from aqi_dagster.web.shown import Look, Shown
from aqi_dagster.web.times import Times
from aqi_dagster.web.window import window
from aqi_dagster.windows import WINDOW_LENGTH, utc_now, window_key, window_start

SMALLEST_COMPRESSED = 1_000
"""Bytes of an answer that is worth compressing."""

_MEASURES = {"read": True, "corrected": False}

PAGES: dict[str, Callable[[Look], Shown]] = {
    "now": lambda look: now(look, questions.text("region"), questions.flag("all")),
    "calendar": lambda look: calendar(look, questions.text("region"), questions.window("until")),
    "window": lambda look: window(
        look, questions.required("region"), questions.required_window("start"), questions.choice("measure", _MEASURES)
    ),
    "sensor": lambda look: sensor(
        look, questions.required("id"), questions.number("days", 14, (2, 14, 90)), questions.window("until")
    ),
    "alerts": lambda look: alerts(
        look, questions.text("region"), questions.one_of("status", STATUSES), questions.natural("before")
    ),
    "network": lambda look: network(look, questions.one_of("state", STATES), questions.natural("page") or 1),
}
"""The pages by name, and how each reads what was asked."""

_STATIC = Path(__file__).with_name("static")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choices:
    """How the page is shown.

    Attributes
    ----------
    published
        Where the pipeline publishes.
    password
        That is asked for; None for nobody.
    public
        Whether places are rounded, to ``decimals`` of a degree.
    zone
        Name of the zone of local times; None for that of the sensors.
    web_url, dagster_url
        Addresses of this page and of Dagster's, as others reach them.
    tiles_url, tiles_credit
        Address of a map server with ``{z}``, ``{x}`` and ``{y}``, and whom it wants named.
    guards_hosts
        Whether only known names of this machine are answered to.
    clock
        Tells the present moment, naive UTC.
    """

    published: Path
    password: str | None = field(default=None, repr=False)
    public: bool = False
    decimals: int = 2
    zone: str | None = None
    web_url: str | None = None
    dagster_url: str | None = None
    tiles_url: str | None = None
    tiles_credit: str = ""
    guards_hosts: bool = True
    clock: Callable[[], datetime] = utc_now


def make_app(choices: Choices) -> Flask:
    """The application."""
    app = Flask(__name__)
    copies = Copies(choices.published)
    places = Places(choices.decimals, secrets.token_bytes(32)) if choices.public else Places()
    if choices.guards_hosts:
        app.config["TRUSTED_HOSTS"] = known_hosts(choices.web_url)
    if choices.password:
        ask_for_password(app, choices.password)
    set_security_headers(app, choices.tiles_url)
    _compress(app)
    add_errors(app)
    _add_pages(app, copies, places, choices)
    _add_health(app, copies, choices)
    _add_script(app)
    _add_words(app, choices)
    return app


def warm_up() -> None:
    """Read what the first request would have to wait for."""
    _plotly_script()
    lines_within(Frame(0, 0, 0, 0))
    _zone(("45.5, -122.6",), None)


def _add_pages(app: Flask, copies: Copies, places: Places, choices: Choices) -> None:
    def answer(page: str, form: str) -> Response | str:
        with copies.reader() as copy:
            look = _look(copy, places, choices)
            shown = PAGES[page](look)
            if form == "json":
                return Response(as_json(shown, copy.name, copy.published_at), mimetype="application/json")
            if form == "csv":
                return _csv(page, as_csv(shown, questions.text("table")))
            return render_template(
                f"{page}.html",
                page=page,
                shown=shown,
                times=look.times,
                copy=copy,
                newest=look.newest,
                **{**shown.facts, **shown.context},
            )

    for page in PAGES:
        address = "/" if page == "now" else f"/{page}"
        app.add_url_rule(address, page, answer, defaults={"page": page, "form": "html"})
        for form in ("json", "csv"):
            app.add_url_rule(f"/{page}.{form}", f"{page}_{form}", answer, defaults={"page": page, "form": form})


def _csv(page: str, text: str) -> Response:
    answer = Response(text, mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="{page}.csv"'
    return answer


_ABOUT = """
SELECT
    (SELECT max(last_reading) FROM sensors) AS newest,
    coalesce(
        (SELECT arg_max(rules, changed_at) FROM rule_changes),
        (SELECT arg_max(rules, window_start) FROM regional_windows),
        'notebook'
    ) AS rules,
    (SELECT list(sensor) FROM (SELECT sensor FROM sensors ORDER BY sensor LIMIT 20)) AS first_sensors
"""


def _look(copy: Copy, places: Places, choices: Choices) -> Look:
    ((newest, rules, first_sensors),) = copy.connection.execute(_ABOUT).fetchall()
    zone = _zone(tuple(first_sensors or ()), choices.zone)
    return Look(copy.connection, places, Times(zone, choices.clock()), newest, rules, choices.dagster_url)


@lru_cache(maxsize=64)
def _zone(sensors: tuple[str, ...], zone: str | None) -> ZoneInfo | None:
    return LocalTime.of(sensors, zone).zone


def _add_health(app: Flask, copies: Copies, choices: Choices) -> None:
    @app.get("/healthz")
    def healthz() -> tuple[dict[str, Any], int]:
        """Whether the page is up: for machines, and for browsers that wait for a new copy."""
        try:
            with copies.reader() as copy:
                age = (choices.clock() - copy.published_at).total_seconds()
                return {"status": "ok", "copy": copy.name, "seconds_since_publication": round(age)}, 200
        except StoreError as error:
            _log.warning("%s", error)
            return {"status": "no copy", "copy": None, "seconds_since_publication": None}, 503


def _add_script(app: Flask) -> None:
    @app.get("/plotly-<release>.js")
    def plotly(release: str) -> Response:
        """Plotly's JavaScript, which browsers keep: its address changes with its version."""
        answer = Response(_plotly_script(), mimetype="text/javascript")
        answer.headers["Content-Encoding"] = "gzip"
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer


@cache
def _plotly_script() -> bytes:
    return gzip.compress(files("plotly").joinpath("package_data/plotly.min.js").read_bytes(), 6)


@cache
def _assets_hash() -> str:
    """Changes with the style sheet and the script, which browsers keep."""
    contents = (file.read_bytes() for file in sorted(_STATIC.iterdir()))
    return hashlib.sha256(b"".join(contents)).hexdigest()[:12]


def _compress(app: Flask) -> None:
    @app.after_request
    def compress(answer: Response) -> Response:
        answer.vary.add("Accept-Encoding")
        accepted = request.accept_encodings.quality("gzip") > 0
        if not accepted or answer.direct_passthrough or answer.headers.get("Content-Encoding"):
            return answer
        body = answer.get_data()
        if len(body) >= SMALLEST_COMPRESSED:
            answer.set_data(gzip.compress(body, 5, mtime=0))
            answer.headers["Content-Encoding"] = "gzip"
        return answer


def _add_words(app: Flask, choices: Choices) -> None:
    """What templates can say."""

    def link(page: str, /, **asked: Any) -> str:
        """The address of a page, with what is asked of it in the query."""
        query = {name: value for name, value in asked.items() if value is not None}
        return url_for(page) + (f"?{urlencode(query)}" if query else "")

    app.jinja_env.globals.update(
        link=link,
        half_day=WINDOW_LENGTH,
        window_of=window_start,
        assets=_assets_hash(),
        key=window_key,
        counted=counted,
        rounded=rounded,
        aqi=aqi,
        index=lambda number: "over 500" if number > 500 else str(number),
        embedded=embedded,
        asked=lambda: {name: value for name, value in request.args.items() if name != "table"},
        plotly_release=version("plotly"),
        choices=choices,
        swatch=lambda index: f"aqi-{aqi.CATEGORIES.index(aqi.category(index))}",
    )
    app.jinja_env.filters["title_line"] = lambda text: f"{' '.join(text.split())[:120]} · aqi_dagster"
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
