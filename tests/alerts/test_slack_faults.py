"""Slack that answers late, wrongly, in part or not at all: every verdict is told, twice only if an answer was lost."""

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqi_dagster.errors import SlackError, SlackRefusedError
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
from tests.support.slack_answers import DELIVERIES, REFUSALS, UNANSWERED
from tests.support.slack_server import Answer, Slack, headlines, slack_server
from tests.support.tables import rows
from tests.support.verdicts import MALFUNCTION, NOTHING, REGION, SMOKE, find
from tests.support.waiting import LIMIT_SECONDS


@pytest.fixture
def webhook(slack: Slack) -> Webhook:
    return Webhook(slack.url, timeout=LIMIT_SECONDS, attempts=2, patience=30.0)


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
