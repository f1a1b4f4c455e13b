"""A real SMTP server that answers as a test wants."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "alerts", "very-secret"

TAKEN = "250 OK"

SILENCE = "silence"
"""In the place of an answer: the server holds the line until the client leaves, and has taken the message."""

HANG_UP = "hang up"
"""In the place of an answer: the connection is torn down, and the message taken."""


@dataclass
class MailBox:
    """The server's URL, the mails that it took or may have taken, and its answers to mails: the last one repeats."""

    url: str = ""
    answers: list[str] = field(default_factory=lambda: [TAKEN])
    refused: dict[str, str] = field(default_factory=dict)
    mails: list[EmailMessage] = field(default_factory=list)
    silence: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def subjects(self) -> list[str]:
        """The subject of each mail."""
        return [str(mail["Subject"]) for mail in self.mails]

    def text(self, number: int) -> str:
        """What a mail says."""
        return str(self.mails[number].get_content())

    async def handle_RCPT(
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer to a recipient."""
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return TAKEN

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        """Answer to the text of a mail."""
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer in (TAKEN, SILENCE, HANG_UP):
            content = envelope.content if isinstance(envelope.content, bytes) else b""
            self.mails.append(message_from_bytes(content, policy=policy.default))
        if answer == SILENCE:
            await self.silence.wait()
        if answer == HANG_UP:
            server.transport.abort()
        return TAKEN if answer in (SILENCE, HANG_UP) else answer


def _authenticate(server: Any, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    is_right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=is_right, handled=False)


@contextmanager
def mail_server() -> Iterator[MailBox]:
    """The server, on a free port of 127.0.0.1; it asks for no password, and takes the right one alone."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    box = MailBox(f"smtp://{USER}:{PASSWORD}@127.0.0.1:{port}")
    controller = Controller(
        box, "127.0.0.1", port, authenticator=_authenticate, auth_require_tls=False, auth_exclude_mechanism=["LOGIN"]
    )
    controller.start()
    try:
        yield box
    finally:
        controller.loop.call_soon_threadsafe(box.silence.set)
        controller.stop()
