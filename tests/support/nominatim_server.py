"""A real HTTP server that speaks the reverse endpoint of Nominatim and answers as a test wants."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

NO_RESULT = {"error": "Unable to geocode"}

Place = tuple[float, float]
"""Latitude and longitude, in degrees."""


def answer(state: str | None = "Oregon", **address: str) -> dict[str, Any]:
    """What Nominatim says of a place with ``address`` in ``state``."""
    if state is not None:
        address["state"] = state
    address |= {"country": "United States", "country_code": "us"}
    return {
        "place_id": 310473812,
        "licence": "Data © OpenStreetMap contributors, ODbL 1.0. http://osm.org/copyright",
        "osm_type": "relation",
        "lat": "45.5",
        "lon": "-122.4",
        "display_name": ", ".join(address.values()),
        "address": address,
        "boundingbox": ["45.4", "45.7", "-122.9", "-121.8"],
    }


@dataclass(frozen=True)
class Request:
    """What a client asked, and when."""

    place: Place
    parameters: dict[str, str]
    user_agent: str
    time: float


@dataclass
class NominatimStandIn:
    """The server's address, what it was asked, and what it says: of ``counties``, unless ``status`` is another."""

    url: str
    counties: dict[Place, Any] = field(default_factory=dict)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    silent: bool = False
    requests: list[Request] = field(default_factory=list)

    @property
    def places(self) -> list[Place]:
        """The places that were asked for, in order."""
        return [request.place for request in self.requests]


@contextmanager
def nominatim_server() -> Iterator[NominatimStandIn]:
    """The server, on a free port of 127.0.0.1, under the path ``/maps`` as a site of one's own may have it."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            assert url.path == "/maps/reverse"
            parameters = {name: values[0] for name, values in parse_qs(url.query).items()}
            place = float(parameters["lat"]), float(parameters["lon"])
            known.requests.append(Request(place, parameters, self.headers["User-Agent"], time.monotonic()))
            if known.silent:
                over.wait()
                return
            text = known.body or json.dumps(known.counties.get(place, NO_RESULT))
            self.send_response(known.status)
            for name, value in known.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the standard library's line per request off stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known = NominatimStandIn(f"http://127.0.0.1:{server.server_port}/maps/")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield known
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()
