"""Slack as a Dagster resource."""

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg
from pydantic import Field

from aqi_dagster import defaults
from aqi_dagster.pipeline.alerts.channels import Channel
from aqi_dagster.pipeline.alerts.dispatch import DispatchReport, Manner, Post, dispatch
from aqi_dagster.pipeline.alerts.webhook import Webhook
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.polling.liveness import Source


class SlackResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The Slack incoming webhook that gets the alerts; without one they are recorded as not sent."""

    webhook_url: str | None = Field(default=None, description="URL of the incoming webhook; a secret: give an EnvVar")
    timeout_seconds: float = Field(default=Webhook.timeout, description="Time that Slack has to answer one request")
    attempts: int = Field(default=Webhook.attempts, description="Requests for one message before the run fails")
    patience_seconds: float = Field(default=Webhook.patience, description="Time for one message before the run fails")
    digest_after_hours: float = Field(
        default=defaults.DIGEST_AFTER_HOURS,
        description="Windows that ended longer ago are told together, in one digest",
    )
    dagster_url: str | None = Field(default=None, description="Address of the Dagster UI, to which alerts link")
    web_url: str | None = Field(default=None, description="Address of the page for people, to which alerts link")
    time_zone: str | None = Field(
        default=None, description="Zone of the local time beside UTC; without one that of the sensors"
    )

    @property
    def digest_after(self) -> timedelta:
        """``digest_after_hours`` as a duration."""
        return timedelta(hours=self.digest_after_hours)

    def dispatch(self, store: Store, source: Source | None = None, others: Sequence[Channel] = ()) -> DispatchReport:
        """Send the alerts of ``store`` that are due, to Slack and to ``others``.

        Each names the ``source`` of the readings, if there is one.
        """
        post: Post | None = None
        if self.webhook_url:
            post = Webhook(self.webhook_url, self.timeout_seconds, self.attempts, self.patience_seconds).post
        manner = Manner(self.dagster_url, self.time_zone, web_url=self.web_url, source=source)
        return dispatch(store, post, self.digest_after, manner, others)
