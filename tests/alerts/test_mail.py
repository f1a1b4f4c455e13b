"""Alerts by e-mail, on a real SMTP server: who gets them, under which number, and what never travels in them."""

from typing import Any

import pytest

from aqi_dagster.errors import ChannelAnswerError, ChannelError
from aqi_dagster.pipeline.alerts.channels import Message
from aqi_dagster.pipeline.alerts.email import EMAIL, MailServer, mail_of
from aqi_dagster.pipeline.store.connections import Store
from tests.support.channels import RECIPIENTS, SENDER, Channels, untold
from tests.support.mail_server import HANG_UP, TAKEN
from tests.support.outbox import classify
from tests.support.verdicts import NOTHING, SMOKE


def test_a_mail_whose_answer_is_lost_is_sent_again_under_its_own_number(store: Store, servers: Channels) -> None:
    classify(store, ended=SMOKE)
    servers.mail.answers = [HANG_UP, TAKEN]
    assert "did not take the message" in servers.try_dispatch(store)
    servers.dispatch(store)
    assert len({mail["Message-ID"] for mail in servers.mail.mails}) == 1
    assert len(servers.mail.mails) == 2


def test_a_recipient_who_is_refused_keeps_the_mail_from_nobody(
    store: Store, servers: Channels, caplog: pytest.LogCaptureFixture
) -> None:
    classify(store, ended=SMOKE)
    servers.mail.refused = {RECIPIENTS[0]: "550 no such user"}
    servers.dispatch(store)
    assert servers.told[EMAIL] == ["Suspected Smoke Event"]
    assert f"{RECIPIENTS[0]} was refused with code 550" in caplog.text
    servers.mail.refused |= {RECIPIENTS[1]: "550 no such user"}
    classify(store, ended=NOTHING)
    with pytest.raises(ChannelAnswerError, match="for its recipients"):
        servers.dispatch(store)
    assert untold(store) == [(EMAIL, "refused")]


def test_a_password_is_not_sent_in_the_clear(servers: Channels) -> None:
    # An address of this machine that is not taken for one.
    far = MailServer(servers.mail.url.replace("127.0.0.1", "127.1"), SENDER, RECIPIENTS)
    with pytest.raises(ChannelError, match="a password is not sent in the clear"):
        far.send(mail())
    assert servers.mail.mails == []
    port = far.url.rsplit(":", 1)[1]
    MailServer(f"smtp://127.1:{port}", SENDER, RECIPIENTS).send(mail())
    assert len(servers.mail.mails) == 1


def mail() -> Any:
    """A mail of any text."""
    return mail_of(
        Message([], {"text": "text\nBcc: eve@example.org", "blocks": [], "attachments": []}), SENDER, RECIPIENTS
    )


def test_a_text_cannot_become_a_header() -> None:
    assert mail()["Bcc"] is None
    assert mail()["Subject"] == "text Bcc: eve@example.org"
