"""A real HTTP server that stands for Slack and answers as a test wants."""

import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATH = "/services/T0/B0/very-secret"


@dataclass(frozen=True)
class Answer:
    """What the server says to one request.

    ``meanwhile`` is called before it answers. ``instead`` of answering has the connection, which is closed afterwards.
    """

    status: int = 200
    text: str = "ok"
    headers: dict[str, str] = field(default_factory=dict)
    meanwhile: Callable[[], object] | None = None
    instead: Callable[[socket.socket], object] | None = None


@dataclass
class Slack:
    """The server's address, what was posted to it and when, and its answers: the last one repeats."""

    url: str
    answers: list[Answer] = field(default_factory=lambda: [Answer()])
    payloads: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        """The headline of each payload."""
        return [payload["text"] for payload in self.payloads]

    def shown(self, number: int) -> str:
        """Everything that the blocks of a payload show, line by line."""
        return block_texts(self.payloads[number])

    def next_answer(self) -> Answer:
        """The answer to the request that came last."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def block_texts(payload: dict[str, Any]) -> str:
    """The texts of a payload's blocks, top to bottom."""
    blocks = [*payload["blocks"], *payload["attachments"][0]["blocks"]]
    texts = [block["text"] if "text" in block else block["elements"][0] for block in blocks]
    return "\n".join(text["text"] for text in texts)


def headlines(payload: dict[str, Any]) -> list[str]:
    """The line of each window that a payload tells: its own text, or the lines of a digest without their symbols."""
    lines = re.findall(r"^:\w+: (.* in .*, \d{4}-\d\d-\d\d .* UTC: .*)$", block_texts(payload), re.MULTILINE)
    return lines or [payload["text"]]


@contextmanager
def slack_server() -> Iterator[Slack]:
    """The server, on a free port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.path == PATH
            slack.payloads.append(payload)
            slack.times.append(time.monotonic())
            answer = slack.next_answer()
            if answer.meanwhile is not None:
                answer.meanwhile()
            if answer.instead is not None:
                self.close_connection = True
                answer.instead(self.connection)
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.text)))
            self.end_headers()
            self.wfile.write(answer.text.encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the standard library's line per request off stderr."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing of a client that went away while it had to wait."""
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    slack = Slack(f"http://127.0.0.1:{server.server_port}{PATH}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield slack
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
