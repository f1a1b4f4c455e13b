"""Answers of servers where Slack would be: as Slack gives them, otherwise, in part or not at all."""

import socket
import struct
import threading
import time

from tests.support.slack_server import PATH, Answer

DRIPPING_SECONDS = 120.0
"""How long an answer without end goes on, so that a client that waits for its end is found out."""


OK_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


def send(data: bytes) -> Answer:
    """An answer of these very bytes, after which the connection is closed."""
    return Answer(instead=lambda connection: connection.sendall(data))


def reset_after(data: bytes) -> Answer:
    """These bytes, and then a connection that is torn down instead of closed."""

    def tear(connection: socket.socket) -> None:
        connection.sendall(data)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return Answer(instead=tear)


def drip(data: bytes, then: bytes, released: threading.Event) -> Answer:
    """``data`` at once, and then ``then`` over and over, a little at a time, until it is released or nobody listens.

    It ends by itself after :data:`DRIPPING_SECONDS`.
    """

    def go_on(connection: socket.socket) -> None:
        connection.sendall(data)
        end = time.monotonic() + DRIPPING_SECONDS
        while not released.wait(0.02) and time.monotonic() < end:
            connection.sendall(then)

    return Answer(instead=go_on)


UNANSWERED = {
    "closed connection": send(b""),
    "reset": reset_after(b""),
    "reset in the body": reset_after(OK_HEAD + b"Content-Length: 100\r\n\r\nok"),
    "body cut off": send(OK_HEAD + b"Content-Length: 3\r\n\r\nok"),
    "chunk cut off": send(OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nok"),
    "bytes that are no HTTP": send(b"\x00\xff\x16\x03\x01 garbage\r\n\r\n"),
    "a line without end": send(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000),
    "broken compression": send(OK_HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok"),
    "a head without end": send(OK_HEAD),
    "contradictory lengths": send(OK_HEAD + b"Content-Length: 2, 3\r\n\r\nok"),
}
"""Answers that leave open whether Slack took the message: the request is repeated."""


DELIVERIES = {
    "no content": Answer(204, ""),
    "a 200 with nothing": Answer(200, ""),
    "accepted": Answer(202, "\n"),
    "a true ok": Answer(200, '{"ok": true, "ts": "1503435956.000247"}'),
    "created": Answer(201, ' {"ok":true}'),
    "nothing in chunks": send(OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
}
"""Answers by which servers other than Slack take its messages."""


UNCLEAR = {
    "a proxy's page": Answer(200, "<html>Please log in</html>"),
    "a 200 with an error": Answer(200, "invalid_payload"),
    "a 200 of strange bytes": Answer(200, "ok\x00", {"Content-Type": "text/plain; charset=idna"}),
    "an endless page": send(OK_HEAD + b"\r\n" + b"x" * 100_000),
    "a false ok": Answer(200, '{"ok": false}'),
    "an ok that is no truth": Answer(201, '{"ok": 1}'),
    "a list": Answer(200, '["ok"]'),
    "much nesting": Answer(200, "[" * 4000),
}
"""Answers of success that are not Slack's: nobody knows who took the message, and it is not posted again by itself."""


REFUSALS = {
    **UNCLEAR,
    "an unknown status": Answer(799, "ok"),
    "moved for ever": Answer(301, "ok", {"Location": "/elsewhere"}),
    "moved": Answer(307, "ok", {"Location": "/elsewhere"}),
    "moved with the request": Answer(308, "", {"Location": PATH}),
}
"""Answers by which Slack did not take the message and will not take it: it is told so, and not repeated at once."""
