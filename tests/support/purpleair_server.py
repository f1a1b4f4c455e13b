"""A real HTTP server that stands for PurpleAir's API, and the sensors of which it tells. None of them is a real one.

It answers as PurpleAir's own pages say, and with every error that they name:

- https://api.purpleair.com: paths, ``X-API-Key``, ``fields`` and ``data`` arrays, ``modified_since``, ``max_age``,
  ``location_type``, ``show_only``, ``nwlng`` and its like, ``time_stamp``, ``data_time_stamp``, ``error``.
- https://community.purpleair.com/t/api-pricing/4523: "total_cost = endpoint_base_cost + (cost_of_all_fields *
  number_of_data_rows)", a base of at most five points, two points for a field such as ``pm2.5``.
- https://community.purpleair.com/t/how-to-make-efficient-api-calls/6906: ``modified_since`` with the last answer's
  ``data_time_stamp`` gives what was reported since.
- https://community.purpleair.com/t/loop-api-calls-for-historical-data/4623: the longest range of one request by
  average, the rows in no order, the end excluded, a rate limit.
- https://community.purpleair.com/t/paymentrequirederror-making-api-calls/3971: requests that end in an error cost
  their base all the same.
- https://github.com/bachya/aiopurpleair (tests): an answer's members; 403 for a missing or invalid key.
"""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

KEY = "READ-KEY-0123-4567-89AB"

REPORTS_EVERY = 120

BASE = 5


@dataclass
class Device:
    """A sensor that reports every two minutes, unless it is ``silent`` from one moment (seconds) to another."""

    index: int
    latitude: float | None = 45.5
    longitude: float | None = -122.6
    location_type: int = 0
    silent: tuple[float, float] = (0, 0)

    def last_seen(self, now: float) -> int:
        """When it reported last."""
        begin, end = self.silent
        moment = begin if begin <= now < end else now
        return int(moment - (moment - self.index % REPORTS_EVERY) % REPORTS_EVERY)

    def cell(self, name: str, moment: int) -> Any:
        """What its row holds for a field at a moment."""
        pm25 = 5 + (moment // REPORTS_EVERY + self.index) % 40 / 4
        values = {
            "sensor_index": self.index,
            "name": f"Sensor {self.index}",
            "location_type": self.location_type,
            "latitude": self.latitude,
            "longitude": self.longitude,
            "last_seen": moment,
            "pm1.0_cf_1_a": round(pm25 * 0.6, 1),
            "pm2.5_cf_1_a": round(pm25, 1),
            "pm2.5_cf_1_b": round(pm25 + 0.2, 1),
            "pm10.0_cf_1_a": round(pm25 * 1.1, 1),
            "humidity_a": 40,
        }
        return values[name]


@dataclass(frozen=True)
class Fault:
    """What the server does instead of answering well: a status, a change of the good answer's text, or a silence.

    ``cut`` sends that many bytes fewer than it announces. ``spoil`` changes the text of the good answer.
    """

    status: int = 200
    error: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    spoil: Callable[[str], str] | None = None
    cut: int = 0
    silence: float = 0.0


@dataclass
class PurpleAirServer:
    """The server's address and what it knows; ``faults`` are those of the next requests, None is a good answer.

    ``served`` are the readings in whole good answers: index and time, how often. ``points`` are what each day cost.
    """

    url: str = ""
    devices: dict[int, Device] = field(default_factory=dict)
    now: Callable[[], float] = time.time
    faults: list[Fault | None] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    served: Counter[tuple[int, int]] = field(default_factory=Counter)
    points: Counter[int] = field(default_factory=Counter)
    history: dict[int, list[int]] = field(default_factory=dict)
    meanwhile: Callable[[int], object] = lambda number: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, path: str, query: dict[str, str], key: str | None) -> tuple[Fault | None, int, str]:
        """The fault of a request, and the status and text of its good answer."""
        self.requests.append((path, query))
        self.keys.append(key)
        fault = self.faults.pop(0) if self.faults else None
        day = int(self.now() // 86_400)
        if key != KEY:
            self.points[day] += BASE
            kind = "ApiKeyInvalidError" if key else "ApiKeyMissingError"
            return fault, 403, self._error(kind, f"The provided api_key {key} was not valid.")
        if path.endswith("/history/csv"):
            status, text, rows, fields = self._history(path, query)
        else:
            status, text, rows, fields = self._sensors(path, query)
        refused = fault is not None and fault.status != 200
        self.points[day] += BASE + (0 if refused else rows * sum(_points(name) for name in fields))
        if fault is not None and fault.status != 200:
            return fault, fault.status, self._error(fault.error, "as it happens")
        return fault, status, text

    def _sensors(self, path: str, query: dict[str, str]) -> tuple[int, str, int, list[str]]:
        now = self.now()
        fields = [name for name in query["fields"].split(",") if name != "sensor_index"]
        found = [device for device in self.devices.values() if self._is_meant(device, path, query, now)]
        names = ["sensor_index", *fields]
        rows = [[device.cell(name, device.last_seen(now)) for name in names] for device in found]
        if "last_seen" in fields:
            self._pending = [(device.index, device.last_seen(now)) for device in found]
        else:
            self._pending = []
        document = {
            **{"api_version": "V1.2.0-1.1.45", "time_stamp": int(now), "data_time_stamp": int(now) - 3},
            **{"max_age": int(query.get("max_age", 604_800)), "firmware_default_version": "7.02"},
            **{"fields": names, "data": rows},
        }
        return 200, json.dumps(document), len(rows), fields

    def _is_meant(self, device: Device, path: str, query: dict[str, str], now: float) -> bool:
        seen = device.last_seen(now)
        if "show_only" in query and str(device.index) not in query["show_only"].split(","):
            return False
        if "location_type" in query and device.location_type != int(query["location_type"]):
            return False
        if "modified_since" in query and seen <= int(query["modified_since"]):
            return False
        max_age = int(query.get("max_age", 604_800))
        if max_age and now - seen > max_age:
            return False
        if "nwlat" in query:
            if device.latitude is None or device.longitude is None:
                return False
            inside = float(query["selat"]) <= device.latitude <= float(query["nwlat"])
            return inside and float(query["nwlng"]) <= device.longitude <= float(query["selng"])
        return True

    def _history(self, path: str, query: dict[str, str]) -> tuple[int, str, int, list[str]]:
        index = int(path.split("/")[2])
        first, end = int(query["start_timestamp"]), int(query["end_timestamp"])
        average = int(query["average"]) * 60 or REPORTS_EVERY
        fields = query["fields"].split(",")
        days = {120: 30, 600: 60, 1800: 90, 3600: 180}[average]
        if end - first > days * 86_400:
            return 400, self._error("InvalidTimestampSpanError", "too long"), 0, []
        device = self.devices[index]
        times = [moment for moment in range(first - first % average, end, average) if first <= moment < self.now()]
        lines = [",".join(map(str, [at, index, *(device.cell(name, at) for name in fields)])) for at in times]
        half = len(lines) // 2
        self._pending = [(index, at) for at in times]
        text = "\n".join([",".join(["time_stamp", "sensor_index", *fields]), *lines[half:], *lines[:half]]) + "\n"
        return 200, text, len(lines), fields

    def _error(self, kind: str, description: str) -> str:
        return json.dumps(
            {"api_version": "V1.2.0-1.1.45", "time_stamp": int(self.now()), "error": kind, "description": description}
        )

    def note_served(self) -> None:
        """Count the readings of the answer that was sent last."""
        self.served.update(self._pending)


def _points(name: str) -> int:
    return 2 if name in ("pm2.5_cf_1", "pm1.0_cf_1", "pm10.0_cf_1", "humidity", "temperature", "pressure") else 1


@contextmanager
def purpleair_server(*devices: Device, now: Callable[[], float] = time.time) -> Iterator[PurpleAirServer]:
    """The server, on a free port of 127.0.0.1, with these sensors."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            with state.lock:
                state.meanwhile(len(state.requests))
                fault, status, text = state.answer(
                    parts.path.removeprefix("/v1"), dict(parse_qsl(parts.query)), self.headers["X-API-Key"]
                )
                if fault is not None and fault.silence:
                    time.sleep(fault.silence)
                if fault is not None and fault.spoil:
                    text = fault.spoil(text)
                body = text.encode()
                self.send_response(status)
                for name, value in (fault.headers if fault else {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) - fault.cut] if fault and fault.cut else body)
                if status == 200 and (fault is None or fault == Fault()):
                    state.note_served()
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the standard library's line per request off stderr."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing of a client that went away."""
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    state = PurpleAirServer(f"http://127.0.0.1:{server.server_port}", {device.index: device for device in devices}, now)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
