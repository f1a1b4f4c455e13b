"""The page on a server that may be left running: waitress, several threads, no development server."""

import logging
import os
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import waitress

from aqi_dagster.errors import WebError
from aqi_dagster.settings import WEB_PASSWORD, Settings
from aqi_dagster.web.access import is_loopback, require_guard
from aqi_dagster.web.app import Choices, make_app, warm_up

THREADS = 6
"""Requests that are answered at once; others queue."""

CONNECTIONS = 500
"""Browsers that may be connected at once."""


def serve(
    settings: Settings, host: str, port: int, public: bool, on_listening: Callable[[str], None] | None = None
) -> None:
    """Serve the page until the process is told to end; ``on_listening`` gets its address once it listens.

    Raises :class:`ConfigurationError` if everybody could reach it and nobody said so, :class:`WebError` if the port
    cannot be had.
    """
    password = os.environ.get(WEB_PASSWORD) or None
    require_guard(host, password, public)
    choices = _choices(settings, password, public, guards_hosts=is_loopback(host) and not password and not public)
    # What waitress logs of full queues is no news.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    try:
        server = waitress.create_server(
            make_app(choices),
            host=host,
            port=port,
            threads=THREADS,
            connection_limit=CONNECTIONS,
            ident="aqi_dagster",
            url_prefix=prefix(settings.web_url),
            clear_untrusted_proxy_headers=True,
        )
    except (OSError, socket.gaierror) as error:
        failure = error.strerror or str(error)
    else:
        warm_up()
        if on_listening is not None:
            on_listening(f"http://{host}:{port}{prefix(settings.web_url)}/")
        server.run()
        return
    raise WebError(
        f"Port {port} of {host} cannot be had ({failure}): end what listens there, or take another port: "
        f"aqi-dagster web --port {port + 1}."
    )


def _choices(settings: Settings, password: str | None, public: bool, guards_hosts: bool) -> Choices:
    return Choices(
        published=settings.data_dir.absolute() / "aqi.duckdb",
        password=password,
        public=public,
        decimals=settings.web_decimals,
        zone=settings.time_zone,
        web_url=settings.web_url,
        dagster_url=settings.dagster_url,
        tiles_url=settings.web_tiles,
        tiles_credit=settings.web_tiles_credit,
        guards_hosts=guards_hosts,
    )


def prefix(web_url: str | None) -> str:
    """The path below which the page lies behind a proxy, whether or not the proxy takes it off.

    >>> prefix("https://example.org/air/"), prefix("https://air.example.org")
    ('/air', '')
    """
    return urlsplit(web_url).path.rstrip("/") if web_url else ""
