"""A real HTTP server that takes JSON, and answers as a test wants; its address is a secret."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.slack_server import Answer, Slack, slack_server

TAKEN = Answer(202, '{"status": "queued"}', {"Content-Type": "application/json"})

PAGE = Answer(200, "<html>Please log in</html>", {"Content-Type": "text/html"})


@contextmanager
def json_server() -> Iterator[Slack]:
    """The server, on a free port of 127.0.0.1, which takes whatever is posted."""
    with slack_server() as server:
        server.answers = [TAKEN]
        yield server
