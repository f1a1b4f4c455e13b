"""The channels beside Slack as a Dagster resource."""

import os
from collections.abc import Callable
from functools import partial
from typing import ClassVar

import dagster as dg
from pydantic import Field

from aqi_dagster.errors import ChannelError
from aqi_dagster.pipeline.alerts.channels import Channel, Message
from aqi_dagster.pipeline.alerts.email import MailServer, email_channel
from aqi_dagster.pipeline.alerts.json_webhook import JsonWebhook, json_channel
from aqi_dagster.pipeline.alerts.webhook import Webhook
from aqi_dagster.settings import SLACK_OPS_WEBHOOK_URL, SLACK_WEBHOOK_URL

TICK_TIMEOUT_SECONDS = 10.0
"""What the tick of a sensor, which has a minute, waits for a channel."""


class ChannelsResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Who is told of alerts beside Slack: an address that takes JSON, and people by e-mail; nobody by default."""

    webhook_url: str | None = Field(default=None, description="Address that takes JSON; a secret: give an EnvVar")
    smtp_url: str | None = Field(default=None, description="The mail server; a secret: give an EnvVar")
    email_from: str = Field(default="", description="Address that e-mails come from")
    email_to: list[str] = Field(default=[], description="Addresses that get e-mails")

    def configured(self, timeout: float = MailServer.timeout, attempts: int = JsonWebhook.attempts) -> list[Channel]:
        """The channels that are to be told; the webhook is asked so many times, and each request may take that long."""
        found = []
        if self.webhook_url:
            webhook = JsonWebhook(self.webhook_url, timeout=min(timeout, JsonWebhook.timeout), attempts=attempts)
            found.append(json_channel(webhook))
        if self.smtp_url and self.email_to:
            found.append(email_channel(MailServer(self.smtp_url, self.email_from, self.email_to, timeout)))
        return found


class OpsWebhook(Webhook):
    """The Slack channel that is told of the pipeline itself, where it is another than that of alerts."""

    setting: ClassVar[str] = SLACK_OPS_WEBHOOK_URL
    look_at: ClassVar[str] = f"Check in Slack that the webhook in {SLACK_OPS_WEBHOOK_URL} still exists."


def ops_channel(channels: ChannelsResource) -> Callable[[Message], str | None] | None:
    """How to tell of the pipeline itself: in the Slack channel for that, in that of alerts, or in the others there are.

    The function asks each once and returns what went wrong, if nobody took the message. None if there is no channel.
    """
    if url := os.environ.get(SLACK_OPS_WEBHOOK_URL):
        told = [_slack_channel(OpsWebhook(url, timeout=TICK_TIMEOUT_SECONDS, attempts=1))]
    elif url := os.environ.get(SLACK_WEBHOOK_URL):
        told = [_slack_channel(Webhook(url, timeout=TICK_TIMEOUT_SECONDS, attempts=1))]
    else:
        told = channels.configured(TICK_TIMEOUT_SECONDS, attempts=1)
    return partial(_tell_one_of, told) if told else None


def _slack_channel(webhook: Webhook) -> Channel:
    return Channel("slack", lambda message: webhook.post(message.payload))


def _tell_one_of(channels: list[Channel], message: Message) -> str | None:
    """Tell all ``channels``; returns the first error if none took the message."""
    errors = []
    for channel in channels:
        try:
            channel.tell(message)
        except ChannelError as error:
            errors.append(str(error))
    return errors[0] if len(errors) == len(channels) else None
