"""Administrative requests to a broker: waiting for the answer, but not for one whose login was refused."""

import time
from collections.abc import Iterable
from concurrent import futures
from typing import Any

from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

REFUSALS = {KafkaError._AUTHENTICATION, KafkaError._SSL}
"""Codes of the errors by which a broker, or the client itself, says that the login settings are wrong."""

REFUSAL_SECONDS = 2.0
"""Time after a refused login in which another broker, or another attempt, may still accept it."""

_POLL_SECONDS = 0.1


def await_answer(
    admin: AdminClient, answer: "futures.Future[Any]", troubles: Iterable[KafkaError]
) -> KafkaError | None:
    """Wait for ``answer``; returns the refusal if the login was refused and no answer came, else None.

    ``error_cb`` of ``admin`` appends to ``troubles``: a refused login shows nowhere else, and the client would retry it
    until its own timeout.
    """
    refusal_time = None
    while not futures.wait([answer], _POLL_SECONDS).done:
        admin.poll(0)
        if refusal_time is None and refusal(troubles) is not None:
            refusal_time = time.monotonic()
        if refusal_time is not None and time.monotonic() - refusal_time > REFUSAL_SECONDS:
            return refusal(troubles)
    admin.poll(0)
    return None


def refusal(troubles: Iterable[KafkaError]) -> KafkaError | None:
    """The first of ``troubles`` that is a refused login."""
    return next((trouble for trouble in troubles if trouble.code() in REFUSALS), None)
