"""Alerts by e-mail, over SMTP. The server's URL may hold a password and appears in no error and no log.

A server that answers with a permanent refusal (5xx) of sender, recipients or text has refused the message, which is not
sent again by itself; one that puts it off, does not answer or cannot be reached is asked again later. A message that is
sent again has the same Message-ID, by which mail programs know it.
"""

import logging
import smtplib
import ssl
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from hashlib import sha256
from urllib.parse import unquote, urlsplit

from aqi_dagster.errors import ChannelAnswerError, ChannelError, ChannelRefusedError
from aqi_dagster.pipeline.alerts.channels import Channel, Message
from aqi_dagster.pipeline.alerts.plain_text import plain_headline, plain_lines

EMAIL = "email"

_HERE = ("127.0.0.1", "localhost", "::1")

_log = logging.getLogger(__name__)


class _UnsafeError(Exception):
    """A password would travel in the clear."""


@dataclass(frozen=True)
class MailServer:
    """An SMTP server by its ``url``: ``smtp://user:password@host:587`` or ``smtps://...:465``.

    With ``smtp`` the connection is encrypted if the server offers STARTTLS; without encryption no password is sent, but
    to this machine. ``timeout`` limits a whole delivery, in seconds.
    """

    url: str = field(repr=False)
    sender: str
    recipients: Sequence[str]
    timeout: float = 30.0

    def send(self, mail: EmailMessage) -> None:
        """Deliver ``mail``, or raise :class:`ChannelError`; :class:`ChannelAnswerError` if the server refuses it."""
        # Raised outside the handler, and without the errors' own texts but the server's code: they may quote the URL.
        try:
            refused = self._ask(mail)
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            failure = _refusal(error.smtp_code, "sender" if isinstance(error, smtplib.SMTPSenderRefused) else "text")
        except smtplib.SMTPRecipientsRefused as error:
            failure = _refusal(max(code for code, _ in error.recipients.values()), "recipients")
        except smtplib.SMTPAuthenticationError as error:
            failure = _trouble(f"it refuses user and password (code {error.smtp_code})")
        except _UnsafeError:
            failure = _trouble("it offers no encryption, and a password is not sent in the clear")
        except ValueError:
            failure = _trouble("SMTP_URL is no valid URL: write smtp://user:password@host:587 or smtps://...:465")
        except TimeoutError:
            failure = _trouble(f"no answer within {self.timeout:g} s")
        except Exception as error:  # noqa: BLE001 (whatever it is, its text may hold the URL)
            failure = _trouble(f"the delivery failed ({type(error).__name__})")
        else:
            for recipient, (code, _) in refused.items():
                _log.warning("e-mail: %s was refused with code %d, the others have the message", recipient, code)
            return
        raise failure

    def _ask(self, mail: EmailMessage) -> dict[str, tuple[int, bytes]]:
        """Deliver ``mail`` once; returns which recipients were refused, if others were not.

        A thread of its own does it and is abandoned after the timeout, as smtplib limits only the silence between two
        bytes.
        """
        answer: Future[dict[str, tuple[int, bytes]]] = Future()

        def ask() -> None:
            try:
                answer.set_result(self._deliver(mail))
            except Exception as error:  # noqa: BLE001 (the waiting thread raises it)
                answer.set_exception(error)

        threading.Thread(target=ask, name="ask-smtp", daemon=True).start()
        return answer.result(self.timeout)

    def _deliver(self, mail: EmailMessage) -> dict[str, tuple[int, bytes]]:
        parts = urlsplit(self.url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError
        safe = parts.scheme == "smtps" or parts.hostname in _HERE
        server = (
            smtplib.SMTP_SSL(parts.hostname, parts.port or 465, timeout=self.timeout, context=_tls())
            if parts.scheme == "smtps"
            else smtplib.SMTP(parts.hostname, parts.port or 587, timeout=self.timeout)
        )
        with server:
            server.ehlo()
            if parts.scheme == "smtp" and server.has_extn("starttls"):
                server.starttls(context=_tls())
                server.ehlo()
                safe = True
            if parts.username is not None:
                if not safe:
                    raise _UnsafeError
                server.login(unquote(parts.username), unquote(parts.password or ""))
            refused = server.send_message(mail, self.sender, list(self.recipients))
            # The server has it: what comes of leaving is no matter.
            server.close()
            return refused


def email_channel(server: MailServer) -> Channel:
    """The channel that sends alerts through ``server``."""
    return Channel(EMAIL, lambda message: server.send(mail_of(message, server.sender, server.recipients)))


def mail_of(message: Message, sender: str, recipients: Sequence[str]) -> EmailMessage:
    """The e-mail that tells ``message``, in plain text."""
    mail = EmailMessage()
    mail["Subject"] = _printable(plain_headline(message.payload))
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = f"<{_identity(message)}@aqi-dagster.invalid>"
    # Out-of-office programs leave such mail alone.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\n".join(plain_lines(message.payload)) + "\n")
    return mail


def _identity(message: Message) -> str:
    """The same for a message that is sent again, another one for any other store's alert of the same number."""
    told = [(alert.alert_id, alert.region, alert.window_start, alert.verdict, alert.kind) for alert in message.alerts]
    return sha256(repr(told).encode()).hexdigest()[:32]


def _printable(text: str) -> str:
    """``text`` in one line without what a header may not hold."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _trouble(reason: str) -> ChannelError:
    return ChannelError(
        f"The mail server did not take the message: {reason}. Check SMTP_URL and the server; the next run sends what "
        "is pending."
    )


def _refusal(code: int, what: str) -> ChannelError:
    if code < 500:
        return ChannelRefusedError(
            f"The mail server put off the message, by its {what} (code {code}). It is tried again by itself."
        )
    return ChannelAnswerError(
        f"The mail server refused the message for its {what} (code {code}), and it is not sent again by itself: check "
        "ALERT_EMAIL_FROM, ALERT_EMAIL_TO and the server, then run `aqi-dagster alert --again`."
    )
