"""Slack that answers late, wrongly, in part or not at all: every verdict is told, twice only if an answer was lost."""

import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqi_dagster.errors import SlackAnswerError, SlackError, SlackRefusedError
from aqi_dagster.pipeline.alerts.dispatch import DispatchReport, dispatch
from aqi_dagster.pipeline.alerts.webhook import Webhook
from aqi_dagster.pipeline.decoding.decode import decode
from aqi_dagster.pipeline.detection.anomalies import Thresholds, select_anomalies
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.detection.scoring import score_windows
from aqi_dagster.pipeline.readings.insert import ingest
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.verdicts.classify_windows import classify_windows
from aqi_dagster.pipeline.verdicts.outbox.attempts import send_again
from aqi_dagster.windows import WindowRange, utc_now
from tests.support.messages import ALLOWANCE, RawMessage, at, chunk, message
from tests.support.outbox import BEFORE, DIGEST_AFTER, ENDED, OLD, classify, outbox
from tests.support.slack_server import PATH, Answer, Slack, headlines, slack_server
from tests.support.tables import rows
from tests.support.verdicts import MALFUNCTION, NOTHING, REGION, SMOKE, find
from tests.support.waiting import LIMIT_SECONDS

MESSAGE = {"text": "Suspected Smoke Event"}

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


@pytest.fixture
def webhook(slack: Slack) -> Webhook:
    return Webhook(slack.url, timeout=LIMIT_SECONDS, attempts=2, patience=30.0)


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Set when the test is over, so that no server goes on to drip."""
    event = threading.Event()
    yield event
    event.set()


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


def told(payload: dict[str, Any]) -> list[tuple[datetime, str]]:
    """The windows and verdicts that a message tells."""
    lines = headlines(payload)
    return [(at(line.split(", ")[1][:16]), VERDICT_OF[line.split(" in ")[0]]) for line in lines]


VERDICT_OF = {"Suspected Smoke Event": "smoke", "Malfunctioning Sensor": "malfunction", "Alert Withdrawn": "withdrawn"}

WINDOWS = [OLD[0], OLD[1], BEFORE, ENDED]

ANSWERS: dict[str, Answer] = {
    "taken": Answer(),
    **{name: UNANSWERED[name] for name in ("closed connection", "reset in the body", "bytes that are no HTTP")},
    **{name: REFUSALS[name] for name in ("a proxy's page", "moved")},
    "no content": DELIVERIES["no content"],
    "slow down": Answer(429, "rate_limited", {"Retry-After": "30"}),
    "slow down, some time": Answer(429, "rate_limited"),
    "rollup error": Answer(500, "rollup_error"),
    "no service": Answer(404, "no_service"),
}

TAKING = {"taken", "no content"}

FINDINGS = st.dictionaries(st.sampled_from(WINDOWS), st.sampled_from([SMOKE, MALFUNCTION, NOTHING]), min_size=1)

ROUNDS = st.lists(st.tuples(FINDINGS, st.lists(st.sampled_from(list(ANSWERS)), max_size=4)), max_size=4)


@given(ROUNDS)
@settings(max_examples=15)
def test_whatever_slack_answers_each_verdict_is_taken_once_and_the_outbox_knows_it(
    rounds: list[tuple[dict[datetime, list[str]], list[str]]],
) -> None:
    taken: list[tuple[datetime, str]] = []
    with TemporaryDirectory() as folder, slack_server() as slack:
        store, post = Store(Path(folder)), Webhook(slack.url, timeout=LIMIT_SECONDS, attempts=1).post
        for findings, names in [*rounds, ({}, [])]:
            with store.exclusive() as connection:
                for window, sensors in findings.items():
                    find(connection, window, sensors)
                if not findings:
                    send_again(connection)
            slack.answers = [*(ANSWERS[name] for name in names), Answer()]
            slack.payloads.clear()
            try:
                dispatch(store, post, DIGEST_AFTER)
                succeeded = True
            except SlackError:
                succeeded = False
            given_names = [*names, *["taken"] * len(WINDOWS)][: len(slack.payloads)]
            assert succeeded == (set(given_names) <= TAKING)
            for payload, name in zip(slack.payloads, given_names, strict=True):
                taken += told(payload) if name in TAKING else []
        with store.inspect() as connection:
            verdict_of = dict(rows(connection, "SELECT window_start, verdict FROM regional_windows"))
            open_alerts = rows(connection, "FROM slack_alerts WHERE status NOT IN ('sent', 'superseded')")
            sent = rows(connection, "SELECT window_start, verdict FROM slack_alerts WHERE status = 'sent'")
    assert open_alerts == []
    assert Counter(sent) == Counter(taken)
    for window in WINDOWS:
        history = ["withdrawn", *(verdict for start, verdict in taken if start == window)]
        assert all(before != after for before, after in pairwise(history))
        assert history[-1] == verdict_of.get(window, "withdrawn")


def test_a_message_that_slack_refuses_does_not_hold_up_the_others(store: Store, slack: Slack, webhook: Webhook) -> None:
    classify(store, before=SMOKE, ended=MALFUNCTION)
    with store.exclusive() as connection:
        find(connection, OLD[0], SMOKE)
    for _ in range(2):
        slack.answers = [Answer(400, "invalid_payload"), Answer()]
        with pytest.raises(SlackRefusedError, match="HTTP 400 invalid_payload"):
            dispatch(store, webhook.post, DIGEST_AFTER)
        assert outbox(store) == [("smoke", "pending"), ("malfunction", "sent"), ("smoke", "sent")]
    assert dispatch(store, webhook.post, DIGEST_AFTER) == DispatchReport(sent=1)


def test_a_crash_between_slacks_ok_and_its_record_repeats_that_message_alone(
    store: Store, slack: Slack, webhook: Webhook
) -> None:
    def post_and_die(payload: dict[str, Any]) -> None:
        webhook.post(payload)
        raise KeyboardInterrupt

    classify(store, before=SMOKE, ended=MALFUNCTION)
    with pytest.raises(KeyboardInterrupt):
        dispatch(store, post_and_die, DIGEST_AFTER)
    assert dispatch(store, webhook.post, DIGEST_AFTER) == DispatchReport(sent=2)
    assert [told(payload) for payload in slack.payloads] == [
        [(BEFORE, "smoke")],
        [(BEFORE, "smoke")],
        [(ENDED, "malfunction")],
    ]


@pytest.mark.parametrize("digest_after", [DIGEST_AFTER, timedelta(0)], ids=["by itself", "in a digest"])
def test_a_verdict_that_late_readings_change_is_told_as_a_correction_of_its_window(
    store: Store, slack: Slack, webhook: Webhook, digest_after: timedelta
) -> None:
    def readings(sensor: str, window: datetime, peak: float) -> list[RawMessage]:
        times = [window + number * timedelta(minutes=20) for number in range(36)]
        return [message(sensor, time, peak if number == 30 else 8.0) for number, time in enumerate(times)]

    def take_in_and_score(messages: list[RawMessage], first_offset: int, *windows: datetime) -> None:
        with store.exclusive() as connection:
            ingest(connection, decode(chunk(messages, first_offset=first_offset), utc_now(), ALLOWANCE), 1, utc_now())
            span = WindowRange.of(windows)
            list(score_windows(connection, span, BEFORE, DetectorParameters(window_size=10)))
            select_anomalies(connection, span, Thresholds())
            classify_windows(connection, span, REGION)

    one, two = SMOKE
    on_time = readings(one, BEFORE, 8.0) + readings(two, BEFORE, 8.0) + readings(one, ENDED, 900.0)
    take_in_and_score(on_time, 0, BEFORE, ENDED)
    dispatch(store, webhook.post, digest_after)
    late = readings(two, ENDED, 900.0)
    take_in_and_score(late, len(on_time), ENDED)
    dispatch(store, webhook.post, digest_after)
    first, correction = slack.payloads
    assert (told(first), told(correction)) == ([(ENDED, "malfunction")], [(ENDED, "smoke")])
    said = [headlines(payload)[0] for payload in (first, correction)]
    assert "told before" not in said[0]
    assert said[1].endswith('(told before as "Malfunctioning Sensor")')
