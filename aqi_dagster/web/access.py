"""Who may see a page: a password where it is not on this machine alone, known hosts, and what a browser may load."""

import hmac
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Flask, Response, request

from aqi_dagster.errors import ConfigurationError

LOOPBACK_NAMES = ["localhost", "127.0.0.1", "[::1]"]

OPEN_PATHS = ("/healthz",)
"""What a machine asks without a password: it tells nothing but whether the page is up."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def require_guard(host: str, password: str | None, public: bool) -> None:
    """Raise :class:`ConfigurationError` if everybody could reach the page and nobody said so."""
    if not is_loopback(host) and not password and not public:
        raise ConfigurationError(
            f"On {host} others than this machine can reach the page. Set AQI_WEB_PASSWORD, which it then asks for, or "
            "say --public, which rounds the places of sensors and lets everybody in; or leave --host out, and put a "
            "proxy in front."
        )


def ask_for_password(app: Flask, password: str) -> None:
    """Have every page but ``/healthz`` ask for the password; any user name goes with it."""

    @app.before_request
    def check() -> Response | None:
        if request.path in OPEN_PATHS:
            return None
        given = (request.authorization.password if request.authorization else None) or ""
        if hmac.compare_digest(given.encode(), password.encode()):
            return None
        answer = Response("This page asks for a password.\n", 401, mimetype="text/plain")
        answer.headers["WWW-Authenticate"] = 'Basic realm="aqi_dagster", charset="UTF-8"'
        return answer


def known_hosts(web_url: str | None) -> list[str]:
    """Hosts by whose name this machine alone may be asked: else any web site could read the page through a browser."""
    named = urlsplit(web_url).hostname if web_url else None
    return [*LOOPBACK_NAMES, *([named] if named else [])]


def set_security_headers(app: Flask, tiles_url: str | None) -> None:
    """Have browsers load nothing that is not of this page, but tiles of the map server that is set."""
    tiles = f" {_origin(tiles_url)}" if tiles_url else ""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
        f"img-src 'self' data: blob:{tiles}; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
    )

    @app.after_request
    def add(answer: Response) -> Response:
        answer.headers["Content-Security-Policy"] = policy
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "strict-origin-when-cross-origin"
        answer.headers.setdefault("Cache-Control", "no-store")
        return answer


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".replace("{s}", "*")
