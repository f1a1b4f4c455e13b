"""What a page says when it cannot show what was asked for: never a stack trace."""

import logging

import duckdb
from flask import Flask, Response, render_template
from werkzeug.exceptions import HTTPException, SecurityError

from aqi_dagster.errors import StoreError
from aqi_dagster.pipeline.store.copies import NoCopyError
from aqi_dagster.web.shown import BadQuestionError, UnknownThingError

_log = logging.getLogger(__name__)

Told = tuple[str, int]
"""A page and its HTTP status."""


def add_errors(app: Flask) -> None:
    """Have each error be told on a page of its own."""
    app.register_error_handler(UnknownThingError, lambda error: _tell(404, "Not here", str(error)))
    app.register_error_handler(
        BadQuestionError, lambda error: _tell(400, "This address asks for what cannot be", str(error))
    )
    app.register_error_handler(NoCopyError, _no_copy)
    app.register_error_handler(StoreError, _unusable)
    app.register_error_handler(SecurityError, _strange_host)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(duckdb.Error, _failed)
    app.register_error_handler(Exception, _broken)


def _tell(status: int, title: str, text: str) -> Told:
    return render_template("error.html", page="", heading=title, text=text, waits=status == 503), status


def _no_copy(error: NoCopyError) -> Told:
    _log.warning("%s", error)
    text = "The first run of the pipeline publishes what this page shows. It appears here by itself."
    return _tell(503, "Nothing is published yet", text)


def _unusable(error: StoreError) -> Told:
    _log.warning("%s", error)
    text = "The log of this page says why, for who runs it."
    return _tell(503, "The published copy cannot be read", text)


def _strange_host(error: SecurityError) -> Response:
    text = "This page answers to localhost, and to the name in AQI_WEB_URL.\n"
    return Response(text, 400, mimetype="text/plain")


def _http(error: HTTPException) -> Told:
    return _tell(error.code or 500, error.name, error.description or "")


def _failed(error: duckdb.Error) -> Told:
    _log.error("a query failed: %s", error)
    return _tell(500, "This page cannot be made", "A query failed; the log says which. Load the page again.")


def _broken(error: Exception) -> Told:
    _log.error("a page failed", exc_info=error)
    return _tell(500, "This page cannot be made", "That is a fault of ours; the log says more.")
