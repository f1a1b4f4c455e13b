"""A real HTTP server that answers each GET with a text, as a sensor on the local network does."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def text_server(says: Callable[[], str | None]) -> Iterator[str]:
    """The address of a server on a free port of 127.0.0.1; where ``says`` returns None it closes without a word."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = says()
            if text is None:
                self.close_connection = True
                return
            body = text.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the standard library's line per request off stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
