"""Posting to Slack's webhook: what is tried again, what is not, and that the address is never told."""

import logging
import re
import socket
import threading
import traceback
from dataclasses import replace

import pytest

from aqi_dagster.errors import SlackError
from aqi_dagster.pipeline.alerts.webhook import Webhook
from tests.support.slack_server import PATH, Answer, Slack
from tests.support.waiting import LIMIT_SECONDS

MESSAGE = {"text": "Suspected Smoke Event"}

SECRET = PATH.rsplit("/", maxsplit=1)[-1]


@pytest.fixture
def webhook(slack: Slack) -> Webhook:
    return Webhook(slack.url, timeout=LIMIT_SECONDS, attempts=3, patience=30.0)


@pytest.fixture
def dead_url() -> str:
    """An address at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}{PATH}"


def pauses(log: pytest.LogCaptureFixture) -> list[float]:
    """Seconds that were waited before each further attempt."""
    return [float(seconds) for seconds in re.findall(r"trying again in ([0-9.]+) s", log.text)]


def refusal(webhook: Webhook) -> str:
    with pytest.raises(SlackError) as refused:
        webhook.post(MESSAGE)
    return str(refused.value)


def test_a_message_arrives_as_it_was_given(slack: Slack, webhook: Webhook) -> None:
    message = {"text": "smoke & <fire> \u2603", "attachments": [{"fields": [{"short": True}]}]}
    webhook.post(message)
    assert slack.payloads == [message]


def test_a_request_for_patience_is_obeyed(slack: Slack, webhook: Webhook, caplog: pytest.LogCaptureFixture) -> None:
    slack.answers = [Answer(429, "slow down", {"Retry-After": "1"}), Answer()]
    webhook.post(MESSAGE)
    assert slack.payloads == [MESSAGE, MESSAGE]
    assert slack.times[1] - slack.times[0] >= 1.0
    assert pauses(caplog) == [1.0]


def test_a_request_for_more_patience_than_there_is_ends_at_once(
    slack: Slack, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    slack.answers = [Answer(429, "slow down", {"Retry-After": "3600"}), Answer()]
    assert "HTTP 429, at attempt 1" in refusal(webhook)
    assert pauses(caplog) == []
    assert len(slack.payloads) == 1


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_failure_that_may_pass_is_tried_again(slack: Slack, webhook: Webhook, status: int) -> None:
    slack.answers = [Answer(status, "try later"), Answer()]
    webhook.post(MESSAGE)
    assert slack.payloads == [MESSAGE, MESSAGE]


@pytest.mark.parametrize("delay", ["soon", "-1", "1.5"])
def test_a_pause_that_is_no_whole_number_of_seconds_is_left_aside(
    slack: Slack, webhook: Webhook, delay: str, caplog: pytest.LogCaptureFixture
) -> None:
    slack.answers = [Answer(503, "try later", {"Retry-After": delay}), Answer()]
    webhook.post(MESSAGE)
    (pause,) = pauses(caplog)
    assert pause <= 1.0


def test_a_failure_that_lasts_ends_with_its_reason_after_all_attempts(slack: Slack, webhook: Webhook) -> None:
    slack.answers = [Answer(500, "rollup_error")]
    assert "HTTP 500 rollup_error, at attempt 3" in refusal(webhook)
    assert len(slack.payloads) == 3


def test_attempts_end_when_the_patience_does(slack: Slack, webhook: Webhook, caplog: pytest.LogCaptureFixture) -> None:
    slack.answers = [Answer(500, "server on fire")]
    refusal(replace(webhook, attempts=1000, patience=0.7))
    assert sum(pauses(caplog)) < 1.0  # each is logged to a tenth of a second
    assert 1 <= len(slack.payloads) < 100


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (400, "invalid_payload"),
        (403, "action_prohibited"),
        (404, "no_service"),
        (410, "channel_is_archived"),
        (302, ""),
    ],
)
def test_a_lasting_refusal_is_not_tried_again(slack: Slack, webhook: Webhook, status: int, text: str) -> None:
    slack.answers = [Answer(status, text, {"Location": slack.url} if status == 302 else {})]
    told = refusal(webhook)
    assert f"HTTP {status} {text}".strip() + "." in told
    assert "SLACK_WEBHOOK_URL still exists" in told
    assert len(slack.payloads) == 1


def test_a_server_that_does_not_answer_in_time_is_asked_again(slack: Slack, webhook: Webhook) -> None:
    released = threading.Event()
    slack.answers = [Answer(meanwhile=lambda: released.wait(LIMIT_SECONDS)), Answer()]
    # On a busy machine the second request may be too late, too, but hardly twenty of them.
    replace(webhook, timeout=1.0, attempts=20).post(MESSAGE)
    released.set()
    assert len(slack.payloads) >= 2
    assert slack.payloads == [MESSAGE] * len(slack.payloads)


def test_a_server_that_never_answers_is_an_error(slack: Slack, webhook: Webhook) -> None:
    released = threading.Event()
    slack.answers = [Answer(meanwhile=lambda: released.wait(LIMIT_SECONDS))]
    assert "no answer within 0.2 s, at attempt 2" in refusal(replace(webhook, timeout=0.2, attempts=2))
    released.set()


def test_a_server_that_is_down_is_an_error(dead_url: str) -> None:
    assert "no answer (ConnectionError), at attempt 2" in refusal(Webhook(dead_url, attempts=2))


@pytest.mark.parametrize(
    "url", ["", "very-secret", "http://", "ftp://x/very-secret", "http://[::1/very-secret", "https://.x/very-secret"]
)
def test_an_address_that_is_none_is_an_error_at_once(url: str) -> None:
    told = refusal(Webhook(url, attempts=2))
    assert "SLACK_WEBHOOK_URL is no valid URL" in told
    assert "very-secret" not in told


@pytest.mark.parametrize("answer", [200, 302, 404, 500, "echo", "bad header", "silence", "nobody", "no URL"])
def test_the_address_appears_in_no_error_and_no_log(
    slack: Slack, webhook: Webhook, dead_url: str, answer: int | str, caplog: pytest.LogCaptureFixture
) -> None:
    released = threading.Event()
    webhook = replace(webhook, attempts=2)
    match answer:
        case "echo":
            slack.answers = [Answer(404, f"nothing at {slack.url}"), Answer(502, f"nothing at {PATH}")]
        case "bad header":
            slack.answers = [Answer(500, headers={"X-Broken": "1\r\nnot a header", "Location": slack.url})]
        case "silence":
            slack.answers = [Answer(meanwhile=lambda: released.wait(LIMIT_SECONDS))]
            webhook = replace(webhook, timeout=0.2)
        case "nobody":
            webhook = replace(webhook, url=dead_url)
        case "no URL":
            webhook = replace(webhook, url=f"http://[::1{PATH}")
        case int():
            slack.answers = [Answer(answer, "ok" if answer == 200 else "some text")]
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "urllib3"):
        try:
            webhook.post(MESSAGE)
        except SlackError as error:
            told = "".join(traceback.format_exception(error)) + repr(error.__context__) + repr(error.__cause__)
        else:
            told = ""
    released.set()
    assert (told == "") == (answer == 200)
    assert SECRET not in told
    assert SECRET not in caplog.text
    assert SECRET not in repr(webhook)
