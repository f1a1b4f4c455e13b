"""A local HTTP server in the place of Slack's incoming webhook, for the demo."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class WebhookReceiver:
    """Context manager around a real HTTP server on a free port of 127.0.0.1 that collects the messages posted to it.

    Like Slack it answers 200 ``ok`` to a JSON object, and 400 ``invalid_payload`` to anything else.

    Attributes
    ----------
    messages
        The decoded payloads, in order of arrival.
    """

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.messages))
        self._thread = threading.Thread(target=self._server.serve_forever, name="webhook-receiver", daemon=True)

    @property
    def url(self) -> str:
        """The address to post to, in the form of Slack's webhook addresses."""
        return f"http://127.0.0.1:{self._server.server_port}/services/demo"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(messages: list[dict[str, Any]]) -> type[BaseHTTPRequestHandler]:
    """A request handler that appends to ``messages``."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                payload = json.loads(body)
            except ValueError:
                payload = None
            if isinstance(payload, dict):
                messages.append(payload)
                self._answer(200, b"ok")
            else:
                self._answer(400, b"invalid_payload")

        def _answer(self, status: int, text: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the standard library's line per request off stderr."""

    return Handler
