"""What Slack, or a server in its place, answers: taken, refused, or to be asked again."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqi_dagster.errors import SlackAnswerError, SlackError, SlackRefusedError
from aqi_dagster.pipeline.alerts.webhook import Webhook
from tests.support.slack_answers import DELIVERIES, DRIPPING_SECONDS, OK_HEAD, REFUSALS, UNANSWERED, UNCLEAR, drip, send
from tests.support.slack_server import PATH, Answer, Slack, slack_server
from tests.support.waiting import LIMIT_SECONDS

MESSAGE = {"text": "Suspected Smoke Event"}


@pytest.fixture
def webhook(slack: Slack) -> Webhook:
    return Webhook(slack.url, timeout=LIMIT_SECONDS, attempts=2, patience=30.0)


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Set when the test is over, so that no server goes on to drip."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize("answer", UNANSWERED.values(), ids=UNANSWERED)
def test_a_request_whose_answer_is_lost_is_repeated(slack: Slack, webhook: Webhook, answer: Answer) -> None:
    slack.answers = [answer, Answer()]
    webhook.post(MESSAGE)
    assert slack.payloads == [MESSAGE, MESSAGE]
    slack.answers = [answer]
    with pytest.raises(SlackError, match=r"no answer \([\w ]+\), at attempt 1") as caught:
        replace(webhook, attempts=1).post(MESSAGE)
    assert not isinstance(caught.value, SlackRefusedError)


@pytest.mark.parametrize("answer", REFUSALS.values(), ids=REFUSALS)
def test_an_answer_that_is_not_slacks_ok_is_a_refusal(slack: Slack, webhook: Webhook, answer: Answer) -> None:
    slack.answers = [answer]
    with pytest.raises(SlackRefusedError, match=r"HTTP \d+.* SLACK_WEBHOOK_URL"):
        webhook.post(MESSAGE)
    assert len(slack.payloads) == 1


@pytest.mark.parametrize("answer", UNCLEAR.values(), ids=UNCLEAR)
def test_a_success_that_is_not_slacks_says_what_to_look_at(slack: Slack, webhook: Webhook, answer: Answer) -> None:
    slack.answers = [answer]
    with pytest.raises(SlackAnswerError, match=r"not posted again by itself: check what answers .* alert --again"):
        webhook.post(MESSAGE)


@pytest.mark.parametrize("answer", DELIVERIES.values(), ids=DELIVERIES)
def test_servers_that_take_slacks_messages_are_believed(slack: Slack, webhook: Webhook, answer: Answer) -> None:
    slack.answers = [answer]
    webhook.post(MESSAGE)
    assert len(slack.payloads) == 1


@pytest.mark.parametrize("text", ["ok", "ok\n", " ok "])
def test_slacks_ok_is_taken_with_blanks_around_it(slack: Slack, webhook: Webhook, text: str) -> None:
    slack.answers = [Answer(200, text)]
    webhook.post(MESSAGE)


def test_an_ok_in_pieces_is_one(slack: Slack, webhook: Webhook) -> None:
    slack.answers = [send(OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n")]
    webhook.post(MESSAGE)


@pytest.mark.parametrize(
    ("at_once", "then"),
    [
        (OK_HEAD + b"Content-Length: 1000000\r\n\r\n", b"o"),
        (OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\no\r\n"),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["body", "chunks", "head", "continue"],
)
def test_an_answer_byte_by_byte_is_waited_for_no_longer_than_a_silent_one(
    slack: Slack, webhook: Webhook, released: threading.Event, at_once: bytes, then: bytes
) -> None:
    slack.answers = [drip(at_once, then, released)]
    started = time.monotonic()
    with pytest.raises(SlackError, match=r"no answer within 0\.2 s|HTTP 200 without"):
        replace(webhook, timeout=0.2, attempts=1).post(MESSAGE)
    assert time.monotonic() - started < DRIPPING_SECONDS / 2


@given(st.binary(max_size=60), st.booleans())
@settings(max_examples=60)
def test_no_bytes_make_anything_but_a_told_error(answer: bytes, as_head: bool) -> None:
    with slack_server() as slack:
        slack.answers = [send(answer if as_head else b"HTTP/1.1 200 OK\r\n" + answer)]
        with pytest.raises(SlackError) as caught:
            Webhook(slack.url, timeout=LIMIT_SECONDS, attempts=1).post(MESSAGE)
    assert PATH not in str(caught.value)
    assert len(slack.payloads) == 1
