"""Dispatching the outbox to a real HTTP server: each verdict is told once, and none is lost."""

from datetime import timedelta

import pytest

from aqi_dagster.errors import SlackError, SlackRefusedError
from aqi_dagster.pipeline.alerts.dispatch import NO_WEBHOOK, DispatchReport, Manner, Post, dispatch
from aqi_dagster.pipeline.alerts.local_time import LocalTime
from aqi_dagster.pipeline.alerts.slack_blocks import DIGEST_LINES
from aqi_dagster.pipeline.alerts.webhook import Webhook
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.windows import WINDOW_LENGTH, utc_now
from tests.support.outbox import DIGEST_AFTER, ENDED, OLD, classify, outbox
from tests.support.slack_server import Answer, Slack, headlines
from tests.support.verdicts import MALFUNCTION, NOTHING, SMOKE, find
from tests.support.waiting import LIMIT_SECONDS


@pytest.fixture
def post(slack: Slack) -> Post:
    return Webhook(slack.url, timeout=LIMIT_SECONDS, attempts=1).post


def test_each_window_is_told_once(store: Store, slack: Slack, post: Post) -> None:
    classify(store, before=SMOKE, ended=MALFUNCTION)
    assert dispatch(store, post, DIGEST_AFTER) == DispatchReport(sent=2)
    assert [text.split(" in ")[0] for text in slack.texts] == ["Suspected Smoke Event", "Malfunctioning Sensor"]
    assert dispatch(store, post, DIGEST_AFTER) == DispatchReport()
    assert len(slack.payloads) == 2
    assert outbox(store) == [("smoke", "sent"), ("malfunction", "sent")]
    ((attempts, sent_at, digest),) = set(outbox(store, "attempts, sent_at > created_at, digest"))
    assert (attempts, sent_at, digest) == (1, True, False)


def test_a_message_tells_region_sensors_and_time(store: Store, slack: Slack, post: Post) -> None:
    classify(store, ended=SMOKE)
    dispatch(store, post, DIGEST_AFTER, Manner("https://dagster.example.org"))
    window = f"{ENDED:%Y-%m-%d %H:%M} to {ENDED + WINDOW_LENGTH:%H:%M} UTC"
    why = f"2 sensors, 2 anomalies since {ENDED:%H:%M}, up to 501 ug/m3"
    assert slack.texts == [f"Suspected Smoke Event in Lake Tahoe, {window}: {why}"]
    assert slack.shown(0).splitlines() == [
        ":fire: Suspected Smoke Event",
        f"*Lake Tahoe*, {LocalTime.of([], 'America/Los_Angeles').span(ENDED, ENDED + WINDOW_LENGTH)}",
        f"{why}.",
        "*Sensors*",
        "• 45.1, -122",
        "• 45.2, -122",
        "No other sensor of the region is known to have measured meanwhile.",
        "<https://www.openstreetmap.org/?minlon=-122.0200&amp;minlat=45.0800&amp;maxlon=-121.9800&amp;maxlat=45.2200"
        "&amp;box=yes|Map of these 2 sensors>",
        "<https://dagster.example.org/assets/regional_windows?view=partitions&amp;partition="
        f"{ENDED:%Y-%m-%dT%H}%3A00|This window in Dagster>",
    ]


def test_a_correction_mentions_what_was_told_before(store: Store, slack: Slack, post: Post) -> None:
    classify(store, ended=MALFUNCTION)
    dispatch(store, post, DIGEST_AFTER)
    ((first_told,),) = outbox(store, "sent_at")
    classify(store, ended=SMOKE)
    assert dispatch(store, post, DIGEST_AFTER) == DispatchReport(sent=1)
    assert "Correction" not in slack.shown(0)
    assert (
        f"*Correction:* this window was told at {first_told:%Y-%m-%d %H:%M} UTC as Malfunctioning Sensor: 1 sensor, "
        f"1 anomaly since {ENDED:%H:%M}, up to 500 ug/m3: too few for smoke (10 or more). "
        "The verdict is now Suspected Smoke Event."
    ) in slack.shown(1)
    classify(store, ended=NOTHING)
    dispatch(store, post, DIGEST_AFTER)
    _, second_told, _ = (moment for (moment,) in outbox(store, "sent_at"))
    assert slack.texts[2].startswith("Alert Withdrawn in Lake Tahoe")
    assert slack.shown(2).splitlines()[2:] == [
        "No anomaly of this region is in the window any more.",
        f"*Correction:* this window was told at {second_told:%Y-%m-%d %H:%M} UTC as Suspected Smoke Event: 2 sensors, "
        f"2 anomalies since {ENDED:%H:%M}, up to 501 ug/m3. That no longer holds.",
    ]


@pytest.mark.parametrize(
    ("beyond", "report"),
    [(timedelta(), DispatchReport(sent=1)), (timedelta(microseconds=1), DispatchReport(digested=1))],
)
def test_a_window_that_ended_as_long_ago_as_digests_begin_is_told_by_itself(
    store: Store, slack: Slack, post: Post, beyond: timedelta, report: DispatchReport
) -> None:
    classify(store, ended=SMOKE)
    then = Manner(clock=lambda: ENDED + WINDOW_LENGTH + DIGEST_AFTER + beyond)
    assert dispatch(store, post, DIGEST_AFTER, then) == report
    assert len(slack.payloads) == 1
    assert outbox(store, "status, digest") == [("sent", bool(report.digested))]


def test_a_window_at_that_border_that_slack_refuses_is_not_told_by_the_digest_either(
    store: Store, slack: Slack, post: Post
) -> None:
    classify(store, ended=SMOKE)
    then = Manner(clock=lambda: ENDED + WINDOW_LENGTH + DIGEST_AFTER)
    slack.answers = [Answer(400, "invalid_blocks"), Answer()]
    with pytest.raises(SlackRefusedError):
        dispatch(store, post, DIGEST_AFTER, then)
    assert len(slack.payloads) == 1
    assert outbox(store) == [("smoke", "pending")]


def test_without_a_webhook_alerts_are_kept_and_sent_while_they_are_recent(
    store: Store, slack: Slack, post: Post
) -> None:
    classify(store, ended=SMOKE)
    with store.exclusive() as connection:
        find(connection, OLD[0], SMOKE)
    assert dispatch(store, None, DIGEST_AFTER) == DispatchReport(not_sent=2)
    assert outbox(store, "status, outcome") == [("not_sent", NO_WEBHOOK)] * 2
    assert dispatch(store, None, DIGEST_AFTER) == DispatchReport()
    assert dispatch(store, post, DIGEST_AFTER) == DispatchReport(sent=1)
    assert outbox(store) == [("smoke", "sent"), ("smoke", "not_sent")]
    assert f"{ENDED:%Y-%m-%d %H:%M}" in slack.texts[0]


def test_old_windows_are_told_in_one_digest(store: Store, slack: Slack, post: Post) -> None:
    with store.exclusive() as connection:
        for number, window in enumerate(OLD):
            find(connection, window, [SMOKE, MALFUNCTION][number % 2])
    classify(store, ended=SMOKE)
    assert dispatch(store, post, DIGEST_AFTER) == DispatchReport(sent=1, digested=len(OLD))
    assert len(slack.payloads) == 2
    assert slack.texts[1].startswith(f"{len(OLD)} older windows classified, {OLD[0]:%Y-%m-%d %H:%M} to ")
    lines = headlines(slack.payloads[1])
    assert len(lines) == len(OLD)
    assert all(f"{window:%Y-%m-%d %H:%M}" in line for window, line in zip(OLD, lines, strict=True))
    assert set(outbox(store, "status, digest")) == {("sent", True), ("sent", False)}
    assert dispatch(store, post, DIGEST_AFTER) == DispatchReport()


def test_a_long_digest_says_how_many_windows_it_leaves_out(store: Store, slack: Slack, post: Post) -> None:
    with store.exclusive() as connection:
        for number in range(DIGEST_LINES + 3):
            find(connection, OLD[0] - number * WINDOW_LENGTH, SMOKE)
    assert dispatch(store, post, DIGEST_AFTER).digested == DIGEST_LINES + 3
    assert f"The newest {DIGEST_LINES}; 3 earlier ones are left out." in slack.shown(0)
    lines = headlines(slack.payloads[0])
    assert len(lines) == DIGEST_LINES
    assert f"{OLD[0]:%Y-%m-%d %H:%M}" in lines[-1]


@pytest.mark.parametrize(("age", "is_old"), [(timedelta(hours=47), False), (timedelta(hours=49), True)])
def test_a_window_is_old_by_its_end(store: Store, slack: Slack, post: Post, age: timedelta, is_old: bool) -> None:
    classify(store, ended=SMOKE)
    ended_ago = utc_now() - (ENDED + WINDOW_LENGTH)
    report = dispatch(store, post, ended_ago + DIGEST_AFTER - age)
    assert (report.digested, report.sent) == ((1, 0) if is_old else (0, 1))


def test_what_slack_does_not_take_stays_pending_and_is_sent_next_time(store: Store, slack: Slack, post: Post) -> None:
    with store.exclusive() as connection:
        find(connection, OLD[0], SMOKE)
    classify(store, before=SMOKE, ended=MALFUNCTION)
    slack.answers = [Answer(), Answer(500, "rollup_error")]
    with pytest.raises(SlackError, match="HTTP 500"):
        dispatch(store, post, DIGEST_AFTER)
    assert outbox(store) == [("smoke", "pending"), ("smoke", "sent"), ("malfunction", "pending")]
    assert outbox(store, "attempts") == [(0,), (1,), (1,)]
    assert "HTTP 500 rollup_error" in outbox(store, "outcome")[2][0]
    slack.answers = [Answer()]
    assert dispatch(store, post, DIGEST_AFTER) == DispatchReport(sent=1, digested=1)
    assert slack.texts[2].startswith("Malfunctioning Sensor")
    assert slack.texts[3].startswith("1 older window classified")
    assert {status for _, status in outbox(store)} == {"sent"}


def test_a_digest_that_fails_is_sent_next_time(store: Store, slack: Slack, post: Post) -> None:
    with store.exclusive() as connection:
        for window in OLD:
            find(connection, window, SMOKE)
    slack.answers = [Answer(500), Answer()]
    with pytest.raises(SlackError):
        dispatch(store, post, DIGEST_AFTER)
    assert set(outbox(store)) == {("smoke", "pending")}
    assert dispatch(store, post, DIGEST_AFTER).digested == len(OLD)


def test_the_store_is_free_while_slack_takes_its_time(store: Store, slack: Slack, post: Post) -> None:
    classify(store, ended=SMOKE)
    slack.answers = [Answer(meanwhile=lambda: classify(store, before=SMOKE)), Answer()]
    assert dispatch(store, post, DIGEST_AFTER) == DispatchReport(sent=1)
    assert dispatch(store, post, DIGEST_AFTER) == DispatchReport(sent=1)
    assert outbox(store) == [("smoke", "sent")] * 2


def test_a_verdict_that_changes_while_its_alert_is_sent_is_corrected(store: Store, slack: Slack, post: Post) -> None:
    classify(store, ended=MALFUNCTION)
    slack.answers = [Answer(meanwhile=lambda: classify(store, ended=SMOKE)), Answer()]
    dispatch(store, post, DIGEST_AFTER)
    dispatch(store, post, DIGEST_AFTER)
    assert [text.split(" in ")[0] for text in slack.texts] == ["Malfunctioning Sensor", "Suspected Smoke Event"]
    assert "as Malfunctioning Sensor: 1 sensor, 1 anomaly since" in slack.shown(1)


def test_a_verdict_that_comes_back_while_its_correction_is_sent_is_told_again(
    store: Store, slack: Slack, post: Post
) -> None:
    classify(store, ended=SMOKE)
    dispatch(store, post, DIGEST_AFTER)
    classify(store, ended=MALFUNCTION)
    slack.answers = [Answer(meanwhile=lambda: classify(store, ended=SMOKE)), Answer()]
    dispatch(store, post, DIGEST_AFTER)
    dispatch(store, post, DIGEST_AFTER)
    titles = [text.split(" in ")[0] for text in slack.texts]
    assert titles == ["Suspected Smoke Event", "Malfunctioning Sensor", "Suspected Smoke Event"]


def test_a_verdict_that_changes_while_slack_refuses_its_alert_is_not_told(
    store: Store, slack: Slack, post: Post
) -> None:
    classify(store, ended=MALFUNCTION)
    slack.answers = [Answer(500, meanwhile=lambda: classify(store, ended=SMOKE)), Answer()]
    with pytest.raises(SlackError):
        dispatch(store, post, DIGEST_AFTER)
    assert outbox(store) == [("malfunction", "superseded"), ("smoke", "pending")]
    dispatch(store, post, DIGEST_AFTER)
    assert [text.split(" in ")[0] for text in slack.texts] == ["Malfunctioning Sensor", "Suspected Smoke Event"]


def test_an_alert_whose_verdict_changes_before_its_turn_is_not_sent(store: Store, slack: Slack, post: Post) -> None:
    classify(store, before=SMOKE, ended=SMOKE)
    with store.exclusive() as connection:
        find(connection, OLD[0], SMOKE)

    def change_the_others() -> None:
        classify(store, ended=MALFUNCTION)
        with store.exclusive() as connection:
            find(connection, OLD[0], NOTHING)

    slack.answers = [Answer(meanwhile=change_the_others), Answer()]
    assert dispatch(store, post, DIGEST_AFTER) == DispatchReport(sent=1)
    assert dispatch(store, post, DIGEST_AFTER) == DispatchReport(sent=1)
    assert [text.split(" in ")[0] for text in slack.texts] == ["Suspected Smoke Event", "Malfunctioning Sensor"]
    assert "Correction" not in slack.shown(1)


def test_the_report_of_a_dispatch_in_words() -> None:
    assert str(DispatchReport(sent=2, digested=12)) == "Alerts: 2 sent, 12 folded into a digest"
