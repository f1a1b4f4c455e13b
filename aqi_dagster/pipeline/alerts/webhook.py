"""Posting to an incoming webhook, Slack's or another. Its URL is a secret and appears in no error and no log.

Slack accepts a message with the status 200 and the text ``ok``. Other servers that take Slack's messages answer 204,
another 2xx with nothing, or JSON whose ``ok`` is true. Any other 2xx may be a proxy's, of a message that nobody saw.
"""

import json
import logging
import re
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, ClassVar, NamedTuple

import requests
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, stop_before_delay
from tenacity.wait import wait_random_exponential

from aqi_dagster.errors import ChannelError, ChannelRefusedError, SlackAnswerError, SlackError, SlackRefusedError

_RETRIED_STATUSES = frozenset([408, 425, 429, 500, 502, 503, 504])

_log = logging.getLogger(__name__)


_PIECE_BYTES, _PIECES = 256, 16
"""Limit for the text of an answer: Slack's is a word, another server's may have no end."""


class Answer(NamedTuple):
    """An answer: its status, the beginning of its text, its headers ``Retry-After`` and ``Content-Type`` (or empty).

    It ``has_end`` if it says where it ends: one that does not, and has no text, may have been cut off.
    """

    status: int
    text: bytes
    retry_after: str
    has_end: bool
    content_type: str = ""


class TryAgainError(Exception):
    """The message was not accepted, but may be later: after ``retry_after`` seconds if that was said."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Webhook:
    """A Slack incoming webhook; the class variables are how others than Slack are named.

    ``timeout`` limits each request in seconds, from its start to the last byte of the answer. After a passing failure
    (429, 5xx, no answer) a message is posted again, up to ``attempts`` times within ``patience`` seconds, with growing
    pauses or after the time in ``Retry-After``; if that exceeds the patience, the message is given up for now.
    """

    name: ClassVar[str] = "Slack"
    setting: ClassVar[str] = "SLACK_WEBHOOK_URL"
    valid_url: ClassVar[str] = "Copy it anew from the Slack app's page."
    look_at: ClassVar[str] = (
        "Check in Slack that the webhook in SLACK_WEBHOOK_URL still exists and its channel is open."
    )
    error: ClassVar[type[ChannelError]] = SlackError
    refusal: ClassVar[type[ChannelRefusedError]] = SlackRefusedError

    url: str = field(repr=False)
    timeout: float = 10.0
    attempts: int = 6
    patience: float = 120.0

    def post(self, payload: dict[str, Any]) -> None:
        """Deliver ``payload``, or raise :class:`SlackError`; :class:`SlackRefusedError` if Slack will never accept it.

        Others than Slack have errors of their own. A request that was not answered is repeated, so a message may arrive
        more than once, but is never lost.
        """
        retrying = Retrying(
            retry=retry_if_exception_type(TryAgainError),
            stop=stop_after_attempt(self.attempts) | stop_before_delay(self.patience),
            wait=self._pause,
            before_sleep=self._log_retry,
            retry_error_callback=self._give_up,
        )
        refusal = retrying(self._post_once, payload)
        if refusal is not None:
            raise refusal

    def _post_once(self, payload: dict[str, Any]) -> ChannelError | None:
        """Returns None if Slack accepts ``payload``, an error if it never will; raises ``TryAgainError`` otherwise."""
        # Our errors quote the kind of an error alone and are raised outside the handler: its text, and the chain of
        # causes that a traceback prints, hold the URL.
        try:
            answer = self._ask(payload)
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema):
            return self._refused(f"{self.setting} is no valid URL. {self.valid_url}")
        except (TimeoutError, requests.Timeout):
            silence = f"no answer within {self.timeout:g} s"
        except Exception as error:  # noqa: BLE001 (whatever it is, its text may hold the URL)
            silence = f"no answer ({type(error).__name__})"
        else:
            if 200 <= answer.status < 300:
                return self.judge_success(answer)
            reason = f"HTTP {answer.status}{_code_word(answer)}"
            if answer.status in _RETRIED_STATUSES:
                raise TryAgainError(reason, _seconds(answer.retry_after))
            return self._refused(f"{reason}. {self.look_at}")
        raise TryAgainError(silence)

    def _ask(self, payload: dict[str, Any]) -> Answer:
        """Post ``payload`` once.

        A thread of its own does it, and is abandoned after the timeout: requests limits only the silence between two
        bytes, and a server may send one now and then for ever.
        """
        answer: Future[Answer] = Future()

        def ask() -> None:
            try:
                with (
                    mute_urllib3(),
                    requests.post(
                        self.url, json=payload, timeout=self.timeout, allow_redirects=False, stream=True
                    ) as response,
                ):
                    text = b"".join(islice(response.iter_content(_PIECE_BYTES), _PIECES))
                    headers = response.headers
                    has_end = "Content-Length" in headers or "Transfer-Encoding" in headers
                    kind = headers.get("Content-Type", "")
                    answer.set_result(Answer(response.status_code, text, headers.get("Retry-After", ""), has_end, kind))
            except Exception as error:  # noqa: BLE001 (the waiting thread raises it)
                answer.set_exception(error)

        threading.Thread(target=ask, name="ask-webhook", daemon=True).start()
        return answer.result(self.timeout)

    def judge_success(self, answer: Answer) -> ChannelError | None:
        """None if a 2xx answer says that the message was taken; raises ``TryAgainError`` if it broke off."""
        text = answer.text.strip()
        if text == b"ok" or says_taken(answer) or says_ok(text) is True:
            return None
        return SlackAnswerError(
            f'HTTP {answer.status} without Slack\'s "ok". The message may have been taken or not, and is not posted '
            f"again by itself: check what answers at the URL in {self.setting}, then run `aqi-dagster alert --again`."
        )

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, TryAgainError) and error.retry_after is not None:
            return error.retry_after
        return wait_random_exponential(multiplier=1, max=30)(state)

    def _refused(self, reason: str) -> ChannelError:
        return self.refusal(f"{self.name} did not take the message: {reason}")

    def _give_up(self, state: RetryCallState) -> ChannelError:
        error = state.outcome.exception() if state.outcome else None
        advice = "Check Slack's status; the" if self.name == "Slack" else f"Check what answers at {self.setting}; the"
        return self.error(
            f"{self.name} did not take the message: {error}, at attempt {state.attempt_number}. {advice} next run "
            "sends what is pending."
        )

    def _log_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        _log.warning("%s: %s; trying again in %.1f s", self.name, error, state.upcoming_sleep)


@contextmanager
def mute_urllib3() -> Iterator[None]:
    """Keep urllib3's log records of this thread out of every log: they quote the URL of the request."""
    here = threading.get_ident()

    def from_elsewhere(record: logging.LogRecord) -> bool:
        return threading.get_ident() != here

    loggers = [logging.getLogger(name) for name in ("urllib3.connectionpool", "urllib3.connection")]
    for logger in loggers:
        logger.addFilter(from_elsewhere)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(from_elsewhere)


def says_taken(answer: Answer) -> bool:
    """Whether a 2xx answer without text says that the message was taken; raises ``TryAgainError`` if it broke off."""
    if answer.status == requests.codes.no_content:
        return True
    if answer.text.strip():
        return False
    if answer.has_end:
        return True
    raise TryAgainError("no answer (cut off)")


def says_ok(text: bytes) -> bool | None:
    """The ``ok`` of a JSON object; None if ``text`` is none, or its ``ok`` neither true nor false."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return None
    said = answer.get("ok") if isinstance(answer, dict) else None
    return said if isinstance(said, bool) else None


def _code_word(answer: Answer) -> str:
    """Slack's own error code, such as ``channel_is_archived``; empty for other texts, which might quote the URL."""
    word = answer.text.strip()
    return f" {word.decode()}" if re.fullmatch(rb"[a-z_]{1,50}", word) else ""


def _seconds(retry_after: str) -> float | None:
    """The wait in seconds that an answer asks for; None unless it is a number, as Slack's is."""
    return float(retry_after) if retry_after.isdecimal() else None
