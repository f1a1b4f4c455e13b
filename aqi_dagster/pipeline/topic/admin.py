"""Waiting for the answer to an administrative request without waiting out a login that was refused."""

import time
from collections.abc import Iterable
from concurrent import futures
from typing import Any

from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

REFUSALS = {KafkaError._AUTHENTICATION, KafkaError._SSL}
"""Codes of the errors by which a broker, or the client itself, says that the login settings are wrong."""

REFUSAL_SECONDS = 2.0
"""Time after a refused login in which another broker, or another attempt, may still take it."""

_POLL_SECONDS = 0.1


def await_answer(
    admin: AdminClient, answer: "futures.Future[Any]", troubles: Iterable[KafkaError]
) -> KafkaError | None:
    """Wait for ``answer``, or until it is not to be expected any more: then, gives the refusal.

    ``troubles`` is what ``admin`` has its ``error_cb`` append to: a refused login shows nowhere else, and the client
    would go on trying for as long as it may.
    """
    refused_since = None
    while not futures.wait([answer], _POLL_SECONDS).done:
        admin.poll(0)
        if refused_since is None and refusal(troubles) is not None:
            refused_since = time.monotonic()
        if refused_since is not None and time.monotonic() - refused_since > REFUSAL_SECONDS:
            return refusal(troubles)
    admin.poll(0)
    return None


def refusal(troubles: Iterable[KafkaError]) -> KafkaError | None:
    """The first of ``troubles`` that is a refused login."""
    return next((trouble for trouble in troubles if trouble.code() in REFUSALS), None)
