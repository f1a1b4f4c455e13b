"""Slack, a webhook and e-mail, each on a real server: each is told by itself, and none holds up another."""

import logging
import signal
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqi_dagster.errors import ChannelError
from aqi_dagster.pipeline.alerts.channels import Channel, Message
from aqi_dagster.pipeline.alerts.dispatch import DispatchReport, Manner, dispatch
from aqi_dagster.pipeline.alerts.email import EMAIL, MailServer, mail_of
from aqi_dagster.pipeline.alerts.json_webhook import WEBHOOK, JsonWebhook
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.verdicts.outbox.attempts import MOST_UNANSWERED, due_again, send_again
from aqi_dagster.pipeline.verdicts.outbox.channels import SLACK
from aqi_dagster.windows import WINDOW_LENGTH, utc_now
from tests.support.channels import ALL, RECIPIENTS, SENDER, Channels, channels, untold
from tests.support.mail_server import PASSWORD
from tests.support.outbox import BEFORE, DIGEST_AFTER, ENDED, OLD, classify
from tests.support.secrets import TOKEN, places_of
from tests.support.slack_server import Answer
from tests.support.store_processes import process
from tests.support.tables import rows
from tests.support.verdicts import MALFUNCTION, NOTHING, SMOKE, find

SMOKE_TOLD, MALFUNCTION_TOLD, WITHDRAWN = "Suspected Smoke Event", "Malfunctioning Sensor", "Alert Withdrawn"


def statuses(store: Store) -> list[tuple[str, str, str]]:
    """Verdict and status of each alert by channel, but for those that are not for it."""
    with store.inspect() as connection:
        return rows(
            connection,
            "SELECT channel, verdict, status FROM channel_alerts WHERE status <> 'superseded' ORDER BY 1, alert_id",
        )


def again(store: Store) -> int:
    with store.exclusive() as writer:
        return send_again(writer)


def test_each_channel_is_told_each_window_once(store: Store, servers: Channels) -> None:
    classify(store, before=SMOKE, ended=MALFUNCTION)
    report = servers.dispatch(store)
    assert report == DispatchReport(sent=2, elsewhere={WEBHOOK: 2, EMAIL: 2})
    assert str(report) == "Alerts: 2 sent, 2 told by email, 2 told by webhook"
    assert servers.told == {name: [SMOKE_TOLD, MALFUNCTION_TOLD] for name in ALL}
    assert servers.dispatch(store) == DispatchReport()
    assert len(servers.mail.mails) == 2
    assert statuses(store) == [(name, verdict, "sent") for name in sorted(ALL) for verdict in ("smoke", "malfunction")]


def test_webhook_and_mail_say_what_slack_shows_without_markup(store: Store, servers: Channels) -> None:
    with store.exclusive() as writer:
        writer.execute(
            "INSERT INTO sensors (sensor, first_reading, last_reading, readings, name) "
            "VALUES ('45.1, -122', now(), now(), 1, 'A_*house* <& :fire: >')"
        )
    classify(store, ended=SMOKE)
    servers.dispatch(store, manner=Manner("https://dagster.example.org", source=("PurpleAir", "https://purpleair.com")))
    (payload,) = servers.webhook.payloads
    window = f"{ENDED:%Y-%m-%d %H:%M} to {ENDED + WINDOW_LENGTH:%H:%M} UTC"
    assert payload["text"] == servers.mail.subjects[0]
    assert payload["text"].startswith(f"{SMOKE_TOLD} in Lake Tahoe, {window}: 2 sensors, 2 anomalies since")
    text = "\n".join(payload["lines"])
    assert payload["lines"][0] == SMOKE_TOLD
    assert "• A_*house* <& :fire: > (45.1, -122)" in payload["lines"]
    assert "Map of these 2 sensors: https://www.openstreetmap.org/?minlon=-122.0200&minlat=45.0800" in text
    assert "Data from PurpleAir: https://purpleair.com" in text
    assert servers.mail.text(0).replace("\r\n", "\n").strip() == text
    (alert,) = payload["alerts"]
    known = {"verdict": "smoke", "kind": "verdict", "region": "Lake Tahoe", "sensors": SMOKE, "max_pm25": 501.0}
    assert known.items() <= alert.items()
    assert alert["window_start"] == f"{ENDED:%Y-%m-%dT%H:%M:%S}Z"
    (mail,) = servers.mail.mails
    assert (mail["From"], mail["To"]) == (SENDER, ", ".join(RECIPIENTS))


@pytest.mark.parametrize(
    ("failing", "fault"),
    [
        *[(SLACK, "later"), (SLACK, "unanswered")],
        *[(WEBHOOK, "refused"), (WEBHOOK, "unanswered")],
        *[(EMAIL, "later"), (EMAIL, "refused"), (EMAIL, "unanswered")],
    ],
)
def test_a_channel_that_fails_holds_up_no_other_and_is_told_later(
    store: Store, servers: Channels, failing: str, fault: str
) -> None:
    classify(store, before=SMOKE, ended=MALFUNCTION)
    servers.timeout = 1.0 if fault == "unanswered" else servers.timeout
    servers.answer(failing, fault)
    assert servers.try_dispatch(store)
    told = servers.told
    assert {name: told[name] for name in ALL if name != failing} == {
        name: [SMOKE_TOLD, MALFUNCTION_TOLD] for name in ALL if name != failing
    }
    # One that may take a message later gets no further one now; one that refuses a message is asked for the others.
    expected = {"refused": ["refused"] * 2, "later": ["pending"] * (2 if failing == EMAIL else 1)}.get(
        fault, ["pending"]
    )
    assert untold(store) == [(failing, status) for status in expected]
    servers.timeout = 30.0
    servers.answer(failing)
    servers.forget()
    if fault == "refused":
        assert servers.dispatch(store) == DispatchReport()
        assert again(store) == 2
    assert not servers.try_dispatch(store)
    assert servers.told == {name: [SMOKE_TOLD, MALFUNCTION_TOLD] if name == failing else [] for name in ALL}
    assert untold(store) == []


def test_channels_that_fail_together_are_all_named(store: Store, servers: Channels) -> None:
    classify(store, ended=SMOKE)
    servers.answer(WEBHOOK, "later")
    servers.answer(EMAIL, "refused")
    trouble = servers.try_dispatch(store)
    assert "ALERT_WEBHOOK_URL" in trouble
    assert "code 550" in trouble
    assert servers.told[SLACK] == [SMOKE_TOLD]


@pytest.mark.parametrize("dying", [WEBHOOK, EMAIL])
def test_what_is_never_known_to_be_told_is_unknown_by_that_channel_alone(
    store: Store, servers: Channels, dying: str
) -> None:
    def die_after(channel: Channel) -> Channel:
        def tell(message: Message) -> None:
            channel.tell(message)
            raise KeyboardInterrupt

        return Channel(channel.name, tell) if channel.name == dying else channel

    classify(store, ended=SMOKE)
    for _ in range(MOST_UNANSWERED):
        with pytest.raises(KeyboardInterrupt):
            dispatch(store, servers.post(), DIGEST_AFTER, others=[die_after(one) for one in servers.others()])
    assert servers.dispatch(store) == DispatchReport()
    assert {name: len(texts) for name, texts in servers.told.items()} == {
        name: MOST_UNANSWERED if name == dying else 1 for name in ALL
    }
    assert untold(store) == [(dying, "unknown")]
    # A change of what may have been told is told.
    classify(store, ended=NOTHING)
    servers.dispatch(store)
    assert {texts[-1] for texts in servers.told.values()} == {WITHDRAWN}
    assert untold(store) == []


def test_each_channel_is_tried_again_in_its_own_minutes(store: Store, servers: Channels) -> None:
    classify(store, ended=SMOKE)
    servers.answer(EMAIL, "later")
    pauses = []
    for _ in range(4):
        servers.try_dispatch(store)
        with store.inspect() as connection:
            due = due_again(connection, utc_now(), DIGEST_AFTER)
        assert due is not None
        pauses.append(round((due - utc_now()) / timedelta(minutes=1)))
    assert pauses == [1, 2, 4, 8] or pauses == [2, 4, 8, 16], pauses
    assert [len(servers.told[name]) for name in (SLACK, WEBHOOK)] == [1, 1]


def test_a_correction_is_told_by_what_each_channel_was_told_before(store: Store, servers: Channels) -> None:
    classify(store, ended=SMOKE)
    servers.answer(SLACK, "later")
    servers.try_dispatch(store)
    assert servers.told[WEBHOOK] == servers.told[EMAIL] == [SMOKE_TOLD]
    servers.forget()
    servers.answer(SLACK)
    # Slack was told nothing, and there is nothing to withdraw for it.
    classify(store, ended=NOTHING)
    servers.dispatch(store)
    assert servers.told == {SLACK: [], WEBHOOK: [WITHDRAWN], EMAIL: [WITHDRAWN]}
    assert "told before" in servers.mail.subjects[0]
    classify(store, ended=MALFUNCTION)
    servers.forget()
    servers.dispatch(store)
    assert servers.told == {name: [MALFUNCTION_TOLD] for name in ALL}
    assert "told before" not in servers.slack.texts[0]
    assert 'told before as "Alert Withdrawn"' in servers.webhook.payloads[0]["text"]


def test_old_windows_are_one_digest_for_each_channel(store: Store, servers: Channels) -> None:
    servers.dispatch(store)  # the channels are there before the windows
    with store.exclusive() as writer:
        for window in OLD:
            find(writer, window, SMOKE)
    assert servers.dispatch(store) == DispatchReport(digested=len(OLD), elsewhere={WEBHOOK: len(OLD), EMAIL: len(OLD)})
    assert servers.mail.subjects[0].startswith(f"{len(OLD)} older windows classified")
    assert len(servers.webhook.payloads[0]["alerts"]) == len(OLD)


def test_a_channel_that_comes_later_is_told_of_recent_windows_and_not_of_months_past(
    store: Store, servers: Channels
) -> None:
    only_slack = (SLACK,)
    with store.exclusive() as writer:
        find(writer, OLD[0], SMOKE)
    classify(store, before=SMOKE, ended=NOTHING)
    servers.dispatch(store, only_slack)
    assert servers.told[SLACK] == [SMOKE_TOLD, "1 older window classified, " + servers.told[SLACK][1].split(", ")[1]]
    servers.forget()
    servers.dispatch(store)
    assert servers.told == {SLACK: [], WEBHOOK: [SMOKE_TOLD], EMAIL: [SMOKE_TOLD]}
    assert f"{BEFORE:%Y-%m-%d %H:%M}" in servers.mail.subjects[0]
    servers.forget()
    # Made anew, or changed, an old window is no news for who was not told of it; what is new is.
    with store.exclusive() as writer:
        find(writer, OLD[0], SMOKE)
        find(writer, OLD[0], MALFUNCTION)
        find(writer, OLD[1], SMOKE)
    servers.dispatch(store)
    assert [len(payload["alerts"]) for payload in servers.webhook.payloads] == [1]
    assert f"{OLD[1]:%Y-%m-%d %H:%M}" in servers.mail.subjects[0]
    assert servers.slack.texts[0].startswith("2 older windows classified")


def test_a_channel_that_is_taken_away_waits_for_nothing_and_may_come_back(store: Store, servers: Channels) -> None:
    classify(store, before=SMOKE)
    servers.answer(EMAIL, "later")
    servers.try_dispatch(store)
    servers.dispatch(store, (SLACK, WEBHOOK))
    assert untold(store) == []
    classify(store, ended=MALFUNCTION)
    servers.dispatch(store, (SLACK, WEBHOOK))
    assert servers.told[EMAIL] == []
    servers.answer(EMAIL)
    servers.dispatch(store)
    assert servers.told == {name: [SMOKE_TOLD, MALFUNCTION_TOLD] for name in ALL}


def test_without_slack_the_others_are_told_and_nothing_is_said_to_be_lost(
    store: Store, servers: Channels, caplog: pytest.LogCaptureFixture
) -> None:
    classify(store, ended=SMOKE)
    report = servers.dispatch(store, (WEBHOOK, EMAIL))
    assert report == DispatchReport(not_sent=1, elsewhere={WEBHOOK: 1, EMAIL: 1})
    assert "no webhook" not in caplog.text
    classify(store, ended=NOTHING)
    servers.dispatch(store, (WEBHOOK, EMAIL))
    assert servers.told == {SLACK: [], WEBHOOK: [SMOKE_TOLD, WITHDRAWN], EMAIL: [SMOKE_TOLD, WITHDRAWN]}


DIES = """
import os, signal
from datetime import timedelta
from aqi_dagster.pipeline.alerts.channels import Channel
from aqi_dagster.pipeline.alerts.dispatch import dispatch
from aqi_dagster.pipeline.alerts.email import MailServer, email_channel
from aqi_dagster.pipeline.alerts.json_webhook import JsonWebhook, json_channel
_, _, dying, webhook, mail = sys.argv
def doomed(channel):
    def tell(message):
        channel.tell(message)
        os.kill(os.getpid(), signal.SIGKILL)
    return Channel(channel.name, tell) if channel.name == dying else channel
others = [json_channel(JsonWebhook(webhook)), email_channel(MailServer(mail, "aqi@example.org", ["ann@example.org"]))]
dispatch(store, None, timedelta(hours=48), others=[doomed(one) for one in others if one.name == dying])
"""


@pytest.mark.parametrize("dying", [WEBHOOK, EMAIL])
def test_a_kill_between_a_channels_answer_and_its_record_repeats_that_message_alone(
    store: Store, servers: Channels, tmp_path: Path, dying: str
) -> None:
    classify(store, before=SMOKE, ended=MALFUNCTION)
    with process(DIES, tmp_path, dying, servers.webhook.url, servers.mail.url) as doomed:
        assert doomed.wait(60) == -signal.SIGKILL
    assert servers.told[dying] == [SMOKE_TOLD]
    servers.dispatch(store)
    assert servers.told == {name: [SMOKE_TOLD] * (2 if name == dying else 1) + [MALFUNCTION_TOLD] for name in ALL}
    if dying == EMAIL:
        first, repeated, other = (mail["Message-ID"] for mail in servers.mail.mails)
        assert first == repeated != other


def test_secrets_reach_neither_logs_nor_errors_nor_the_store(
    store: Store, servers: Channels, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = MailServer(servers.mail.url.replace(PASSWORD, "not-that-secret"), SENDER, RECIPIENTS)
    nowhere = MailServer("smtps://alerts:not-that-secret@127.0.0.1:1", SENDER, RECIPIENTS)
    for server, words in [(wrong, "refuses user and password"), (nowhere, "the delivery failed")]:
        classify(store, ended=SMOKE)
        others = [Channel(EMAIL, lambda message, to=server: to.send(mail_of(message, SENDER, RECIPIENTS)))]  # type: ignore[misc]
        with caplog.at_level(logging.DEBUG), pytest.raises(ChannelError, match=words) as raised:
            dispatch(store, None, DIGEST_AFTER, others=others)
        assert "not-that-secret" not in "".join(map(repr, [raised.value, raised.value.__context__, server]))
    servers.webhook.answers = [Answer(404, TOKEN)]
    with caplog.at_level(logging.DEBUG):
        assert "HTTP 404" in servers.try_dispatch(store)
    assert TOKEN not in repr(JsonWebhook(servers.webhook.url))
    store.publish()
    for secret in ("not-that-secret", TOKEN):
        assert secret not in caplog.text
        assert places_of(secret, tmp_path) == []


VERDICT_OF = {SMOKE_TOLD: "smoke", MALFUNCTION_TOLD: "malfunction", WITHDRAWN: "withdrawn"}

ROUNDS = st.lists(
    st.tuples(
        st.sampled_from([SMOKE, MALFUNCTION, NOTHING]),
        st.dictionaries(st.sampled_from(ALL), st.sampled_from(["later", "refused"])),
    ),
    min_size=1,
    max_size=5,
)


@pytest.mark.long
@given(ROUNDS)
@settings(max_examples=4)
def test_whatever_fails_each_channel_is_told_the_changes_and_in_the_end_what_is_true(
    rounds: list[tuple[list[str], dict[str, str]]],
) -> None:
    with TemporaryDirectory() as folder, channels() as servers:
        store = Store(Path(folder))
        taken: dict[str, list[str]] = {name: [] for name in ALL}
        servers.dispatch(store)
        for sensors, faults in [*rounds, (rounds[-1][0], {})]:
            with store.exclusive() as writer:
                find(writer, ENDED, sensors)
                send_again(writer)
            for name in ALL:
                servers.answer(name, faults.get(name))
            servers.try_dispatch(store)
            for name in ALL:
                taken[name] += [] if name in faults else servers.told[name]
            servers.forget()
        assert untold(store) == []
        with store.inspect() as connection:
            true = [verdict for (verdict,) in rows(connection, "SELECT verdict FROM regional_windows")] or ["withdrawn"]
    for name in ALL:
        history = ["withdrawn", *(VERDICT_OF[text] for text in taken[name])]
        assert all(before != after for before, after in pairwise(history)), (name, history)
        assert history[-1:] == true, name
