"""Posting to a Slack incoming webhook. The webhook's URL is a secret and appears in no error and no log."""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, stop_before_delay
from tenacity.wait import wait_random_exponential

from aqi_dagster.errors import SlackError

_RETRIED_STATUSES = frozenset([408, 425, 429, 500, 502, 503, 504])

_log = logging.getLogger(__name__)


class _TryAgainError(Exception):
    """Slack did not take the message now, but may later; ``retry_after`` in seconds if Slack said so."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Webhook:
    """A Slack incoming webhook.

    ``timeout`` bounds each request in seconds. A refusal that may pass (429, 5xx, no answer) is tried again up to
    ``attempts`` times within ``patience`` seconds, with growing pauses or after the time that ``Retry-After`` asks;
    if that is longer than the patience, the message is given up for now.
    """

    url: str = field(repr=False)
    timeout: float = 10.0
    attempts: int = 6
    patience: float = 120.0

    def post(self, payload: dict[str, Any]) -> None:
        """Deliver ``payload``; :class:`SlackError` if Slack does not take it.

        A request that Slack did not answer is repeated, so a message may arrive twice, but is never lost.
        """
        retrying = Retrying(
            retry=retry_if_exception_type(_TryAgainError),
            stop=stop_after_attempt(self.attempts) | stop_before_delay(self.patience),
            wait=self._pause,
            before_sleep=_log_retry,
            retry_error_callback=_last_reason,
        )
        reason = retrying(self._post_once, payload)
        if reason is not None:
            raise SlackError(f"Slack did not take the message: {reason}")

    def _post_once(self, payload: dict[str, Any]) -> str | None:
        """Deliver ``payload``: None if Slack took it, the reason if it never will, ``_TryAgainError`` otherwise."""
        # Errors are told by their kind alone and raised outside the handler: their texts, and the chain of causes
        # that a traceback prints, hold the URL.
        try:
            with _urllib3_unlogged():
                response = requests.post(self.url, json=payload, timeout=self.timeout, allow_redirects=False)
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema):
            return "SLACK_WEBHOOK_URL is no valid URL. Copy it anew from the Slack app's page."
        except requests.RequestException as error:
            unreached = type(error).__name__
        else:
            if response.status_code == requests.codes.ok:
                return None
            reason = f"HTTP {response.status_code}{_code_word(response)}"
            if response.status_code in _RETRIED_STATUSES:
                raise _TryAgainError(reason, _retry_after(response))
            return (
                f"{reason}. Check in Slack that the webhook in SLACK_WEBHOOK_URL still exists and its channel is open."
            )
        raise _TryAgainError(f"no answer ({unreached})")

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, _TryAgainError) and error.retry_after is not None:
            return error.retry_after
        return wait_random_exponential(multiplier=1, max=30)(state)


@contextmanager
def _urllib3_unlogged() -> Iterator[None]:
    """Keep urllib3's records of this thread from any log: they quote the URL of the request."""
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


def _code_word(response: requests.Response) -> str:
    """Slack's own word for what is wrong, such as ``channel_is_archived``; a proxy's page might quote the URL."""
    word = response.text.strip()
    return f" {word}" if re.fullmatch(r"[a-z_]{1,50}", word) else ""


def _retry_after(response: requests.Response) -> float | None:
    """Seconds that the response asks to wait; None where it does not say so as a number (Slack does)."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None


def _last_reason(state: RetryCallState) -> str:
    error = state.outcome.exception() if state.outcome else None
    return f"{error}, at attempt {state.attempt_number}. Check Slack's status; the next run sends what is pending."


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    _log.warning("Slack: %s; trying again in %.1f s", error, state.upcoming_sleep)
