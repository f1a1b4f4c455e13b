"""Attempts to tell Slack: each is recorded before it asks, and what may have been told is not told for ever."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from aqi_dagster.errors import SlackAnswerError, SlackError, StoreBusyError
from aqi_dagster.pipeline.alerts.dispatch import DispatchReport, Post, dispatch
from aqi_dagster.pipeline.alerts.webhook import Webhook
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.verdicts.outbox.attempts import MOST_UNANSWERED, due_again, send_again, untold_alerts
from aqi_dagster.windows import utc_now
from tests.support.outbox import DIGEST_AFTER, OLD, classify, outbox
from tests.support.slack_server import Answer, Slack
from tests.support.tables import rows
from tests.support.verdicts import MALFUNCTION, NOTHING, SMOKE, find
from tests.support.waiting import LIMIT_SECONDS


@pytest.fixture
def post(slack: Slack) -> Post:
    return Webhook(slack.url, timeout=LIMIT_SECONDS, attempts=1).post


def lose_the_outcome(store: Store, post: Post) -> None:
    """Have a dispatch die after Slack's answer, before it is recorded."""

    def post_and_die(payload: dict[str, Any]) -> None:
        post(payload)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dispatch(store, post_and_die, DIGEST_AFTER)


def untold(store: Store) -> list[tuple[str, str, int]]:
    with store.inspect() as connection:
        found = untold_alerts(connection, utc_now(), DIGEST_AFTER)
    return [(alert.verdict, alert.status, alert.attempts) for alert in found]


def again(store: Store) -> int:
    with store.exclusive() as writer:
        return send_again(writer)


def due_in(store: Store) -> timedelta | None:
    """Time from now until what waits is tried again by itself."""
    with store.inspect() as connection:
        due = due_again(connection, utc_now(), DIGEST_AFTER)
    return None if due is None else due - utc_now()


def test_nothing_is_posted_while_the_attempt_cannot_be_recorded(
    store: Store, slack: Slack, post: Post, tmp_path: Path
) -> None:
    classify(store, ended=SMOKE)
    with FileLock(tmp_path / "private" / "store.lock"), pytest.raises(StoreBusyError):
        dispatch(Store(tmp_path, lock_timeout=0.05), post, DIGEST_AFTER)
    assert slack.payloads == []
    assert outbox(store, "status, attempts") == [("pending", 0)]


def test_an_answer_that_cannot_be_recorded_is_told_no_more_than_three_times(
    store: Store, slack: Slack, post: Post
) -> None:
    classify(store, ended=SMOKE)
    for _ in range(MOST_UNANSWERED):
        lose_the_outcome(store, post)
    assert dispatch(store, post, DIGEST_AFTER) == DispatchReport()
    assert dispatch(store, post, DIGEST_AFTER) == DispatchReport()
    assert len(slack.payloads) == MOST_UNANSWERED
    assert untold(store) == [("smoke", "unknown", MOST_UNANSWERED)]
    assert again(store) == 1
    assert dispatch(store, post, DIGEST_AFTER) == DispatchReport(sent=1)
    assert (untold(store), again(store)) == ([], 0)


def test_a_store_that_is_held_while_slack_answers_leaves_an_attempt_without_an_outcome(
    store: Store, slack: Slack, post: Post, tmp_path: Path
) -> None:
    classify(store, ended=SMOKE)
    impatient, lock = Store(tmp_path, lock_timeout=0.05), FileLock(tmp_path / "private" / "store.lock")
    slack.answers = [Answer(meanwhile=lock.acquire), Answer()]
    with pytest.raises(StoreBusyError):
        dispatch(impatient, post, DIGEST_AFTER)
    lock.release(force=True)
    assert outbox(store, "status, attempts, unanswered") == [("pending", 1, 1)]
    assert dispatch(store, post, DIGEST_AFTER) == DispatchReport(sent=1)
    assert outbox(store, "status, attempts, unanswered") == [("sent", 2, 0)]


def test_a_digest_without_outcomes_is_unknown_too(store: Store, slack: Slack, post: Post) -> None:
    with store.exclusive() as connection:
        for window in OLD[:2]:
            find(connection, window, SMOKE)
    for _ in range(MOST_UNANSWERED):
        lose_the_outcome(store, post)
    assert dispatch(store, post, DIGEST_AFTER) == DispatchReport()
    assert untold(store) == [("smoke", "unknown", MOST_UNANSWERED)] * 2
    assert again(store) == 2
    assert dispatch(store, post, DIGEST_AFTER) == DispatchReport(digested=2)


def test_outcomes_that_are_recorded_do_not_add_up(store: Store, slack: Slack, post: Post) -> None:
    classify(store, ended=SMOKE)
    slack.answers = [Answer(500)]
    for _ in range(MOST_UNANSWERED + 2):
        with pytest.raises(SlackError, match="HTTP 500"):
            dispatch(store, post, DIGEST_AFTER)
    assert untold(store) == [("smoke", "pending", MOST_UNANSWERED + 2)]
    slack.answers = [Answer()]
    assert dispatch(store, post, DIGEST_AFTER) == DispatchReport(sent=1)
    assert untold(store) == []


def test_a_change_of_what_may_have_been_told_is_told_and_takes_its_place(
    store: Store, slack: Slack, post: Post
) -> None:
    classify(store, ended=SMOKE)
    for _ in range(MOST_UNANSWERED):
        lose_the_outcome(store, post)
    dispatch(store, post, DIGEST_AFTER)
    classify(store, ended=NOTHING)
    assert dispatch(store, post, DIGEST_AFTER) == DispatchReport(sent=1)
    assert slack.texts[-1].startswith("Alert Withdrawn")
    assert untold(store) == []
    assert again(store) == 0
    assert outbox(store) == [("smoke", "superseded"), ("withdrawn", "sent")]


def test_a_strange_answer_is_refused_once_and_sent_again_on_request(store: Store, slack: Slack, post: Post) -> None:
    classify(store, ended=SMOKE)
    slack.answers = [Answer(200, "<html>Please log in</html>")]
    with pytest.raises(SlackAnswerError, match="alert --again"):
        dispatch(store, post, DIGEST_AFTER)
    assert dispatch(store, post, DIGEST_AFTER) == DispatchReport()
    assert len(slack.payloads) == 1
    assert untold(store) == [("smoke", "refused", 1)]
    slack.answers = [Answer()]
    assert again(store) == 1
    assert dispatch(store, post, DIGEST_AFTER) == DispatchReport(sent=1)


def test_what_was_refused_is_not_sent_again_once_it_is_not_true_any_more(
    store: Store, slack: Slack, post: Post
) -> None:
    classify(store, ended=SMOKE)
    slack.answers = [Answer(200, "welcome"), Answer()]
    with pytest.raises(SlackAnswerError):
        dispatch(store, post, DIGEST_AFTER)
    classify(store, ended=MALFUNCTION)
    assert again(store) == 0
    dispatch(store, post, DIGEST_AFTER)
    assert [text.split(" in ")[0] for text in slack.texts] == ["Suspected Smoke Event", "Malfunctioning Sensor"]


def test_what_waits_is_tried_again_in_minutes_and_then_less_and_less(store: Store, slack: Slack, post: Post) -> None:
    classify(store, ended=SMOKE)
    slack.answers = [Answer(503)]
    pauses = [due_in(store)]
    for _ in range(8):
        with pytest.raises(SlackError):
            dispatch(store, post, DIGEST_AFTER)
        pauses.append(due_in(store))
    assert [round(pause / timedelta(minutes=1), 0) for pause in pauses if pause] == [2, 1, 2, 4, 8, 16, 32, 64, 64]
    slack.answers = [Answer()]
    dispatch(store, post, DIGEST_AFTER)
    assert due_in(store) is None


def test_what_waits_for_a_webhook_or_is_old_is_not_tried_by_itself(store: Store, post: Post) -> None:
    with store.exclusive() as connection:
        find(connection, OLD[0], SMOKE)
    assert due_in(store) is None
    classify(store, ended=SMOKE)
    dispatch(store, None, DIGEST_AFTER)
    assert due_in(store) is None
    with store.inspect() as connection:
        assert rows(connection, "SELECT DISTINCT status, attempts FROM slack_alerts") == [("not_sent", 0)]
    assert untold(store) == []
