"""Slack, a JSON webhook and e-mail on real servers of this machine, and what each was told."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from aqi_dagster.errors import ChannelError
from aqi_dagster.pipeline.alerts.channels import Channel
from aqi_dagster.pipeline.alerts.dispatch import IN_UTC, DispatchReport, Manner, Post, dispatch
from aqi_dagster.pipeline.alerts.email import EMAIL, MailServer, email_channel
from aqi_dagster.pipeline.alerts.json_webhook import WEBHOOK, JsonWebhook, json_channel
from aqi_dagster.pipeline.alerts.webhook import Webhook
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.verdicts.outbox.attempts import untold_alerts
from aqi_dagster.pipeline.verdicts.outbox.channels import SLACK
from aqi_dagster.windows import utc_now
from tests.support.json_server import PAGE, json_server
from tests.support.json_server import TAKEN as JSON_TAKEN
from tests.support.mail_server import SILENCE, TAKEN, MailBox, mail_server
from tests.support.outbox import DIGEST_AFTER
from tests.support.slack_answers import UNANSWERED
from tests.support.slack_server import Answer, Slack, slack_server

SENDER, RECIPIENTS = "aqi@example.org", ["ann@example.org", "ben@example.org"]

ALL = (SLACK, WEBHOOK, EMAIL)

FAULTS = {
    "later": (Answer(503), Answer(503), "451 later"),
    "refused": (Answer(200, "<html>"), PAGE, "550 no"),
    "unanswered": (UNANSWERED["closed connection"], UNANSWERED["closed connection"], SILENCE),
}
"""What can be the matter with Slack, a webhook and a mail server."""


@dataclass
class Channels:
    """Servers for each channel, with a second of patience."""

    slack: Slack
    webhook: Slack
    mail: MailBox
    timeout: float = 30.0

    def post(self) -> Post:
        """What posts to Slack."""
        return Webhook(self.slack.url, timeout=self.timeout, attempts=1).post

    def others(self, names: tuple[str, ...] = ALL) -> list[Channel]:
        """The channels beside Slack among ``names``."""
        channels = [
            json_channel(JsonWebhook(self.webhook.url, timeout=self.timeout, attempts=1)),
            email_channel(MailServer(self.mail.url, SENDER, RECIPIENTS, timeout=self.timeout)),
        ]
        return [channel for channel in channels if channel.name in names]

    def dispatch(self, store: Store, names: tuple[str, ...] = ALL, manner: Manner = IN_UTC) -> DispatchReport:
        """Send what is due to the channels ``names``."""
        return dispatch(store, self.post() if SLACK in names else None, DIGEST_AFTER, manner, self.others(names))

    def try_dispatch(self, store: Store, names: tuple[str, ...] = ALL, manner: Manner = IN_UTC) -> str:
        """The same; returns what went wrong, or nothing."""
        try:
            self.dispatch(store, names, manner)
        except ChannelError as error:
            return str(error)
        return ""

    @property
    def told(self) -> dict[str, list[str]]:
        """The headlines that each channel got, in short: what they tell, without the place."""
        headlines = {
            SLACK: self.slack.texts,
            WEBHOOK: [payload["text"] for payload in self.webhook.payloads],
            EMAIL: self.mail.subjects,
        }
        return {name: [text.split(" in ")[0] for text in texts] for name, texts in headlines.items()}

    def forget(self) -> None:
        """Empty what was told."""
        self.slack.payloads.clear()
        self.webhook.payloads.clear()
        self.mail.mails.clear()

    def answer(self, channel: str, fault: str | None = None) -> None:
        """Have the server of ``channel`` answer so from now on, as it should by default."""
        slack, webhook, mail = FAULTS[fault] if fault else (Answer(), JSON_TAKEN, TAKEN)
        if channel == SLACK:
            self.slack.answers = [slack]
        elif channel == WEBHOOK:
            self.webhook.answers = [webhook]
        else:
            self.mail.answers = [mail]


@contextmanager
def channels() -> Iterator[Channels]:
    """The servers."""
    with ExitStack() as servers:
        yield Channels(*map(servers.enter_context, (slack_server(), json_server(), mail_server())))


def untold(store: Store) -> list[tuple[str, str]]:
    """Channel and status of each alert that a channel may not have."""
    with store.inspect() as connection:
        return [(one.channel, one.status) for one in untold_alerts(connection, utc_now(), DIGEST_AFTER)]
