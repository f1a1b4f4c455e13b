"""Sending the outbox: record each attempt before Slack is asked, and its outcome as soon as Slack answers.

:mod:`wording` and :mod:`slack_blocks` make the messages. Only an outcome that could not be recorded, or an answer that
never arrived whole, can repeat a message, and not for ever: after some attempts without an outcome the alert is named
as unknown. Nothing loses one.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aqi_dagster.errors import SlackAnswerError, SlackError, SlackRefusedError
from aqi_dagster.pipeline.alerts.markup import Block
from aqi_dagster.pipeline.alerts.slack_blocks import digest_message, headline, message
from aqi_dagster.pipeline.alerts.wording import reason
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.sql import transaction
from aqi_dagster.pipeline.verdicts.outbox.attempts import give_up, record_attempt, record_failure, record_sent
from aqi_dagster.pipeline.verdicts.outbox.due_alerts import Alert, due_alerts
from aqi_dagster.windows import utc_now

NO_WEBHOOK = "no webhook is configured"

_log = logging.getLogger(__name__)

Post = Callable[[dict[str, Any]], None]


@dataclass
class DispatchReport:
    """How many alerts a dispatch sent one by one, folded into its digest, and could not send without a webhook."""

    sent: int = 0
    digested: int = 0
    not_sent: int = 0

    def __str__(self) -> str:
        outcomes = {
            "sent": self.sent,
            "folded into a digest": self.digested,
            f"not sent, as {NO_WEBHOOK}": self.not_sent,
        }
        return "Alerts: " + (", ".join(f"{n} {outcome}" for outcome, n in outcomes.items() if n) or "none was pending")


@dataclass(frozen=True)
class Manner:
    """How alerts are told: with links to the Dagster UI at ``dagster_url`` and the page for people at ``web_url``.

    Beside UTC they show the time in ``zone``, or where the sensors are. ``clock`` tells the present moment (naive UTC):
    whoever replays the past has another one.
    """

    dagster_url: str | None = None
    zone: str | None = None
    # Looked up when it is made, so that it is whatever clock the process goes by.
    clock: Callable[[], datetime] = field(default_factory=lambda: utc_now)
    web_url: str | None = None


IN_UTC = Manner()


def dispatch(
    store: Store,
    post: Post | None,
    digest_after: timedelta,
    manner: Manner = IN_UTC,
) -> DispatchReport:
    """Send every alert that is due through ``post``, or note that there is no webhook if ``post`` is None.

    Windows that ended longer than ``digest_after`` ago go into one digest. An alert that found no webhook is sent later
    only while its window is more recent than that. Alerts that are not sent stay pending, unless something else than
    Slack answered: then they are refused, until somebody has them sent again. Raises :class:`SlackError` if Slack does
    not accept a message: at once if it may accept it later, after the other messages if it refuses this one for good.
    """
    now = manner.clock()
    with store.dispatching():
        with store.exclusive() as writer, transaction(writer):
            give_up(writer, now)
            alerts = due_alerts(writer)
        sender = _Sender(store, manner)
        if post is None:
            return sender.note_missing_webhook([alert for alert in alerts if alert.status == "pending"])
        return sender.send_all(post, alerts, now - digest_after)


@dataclass(frozen=True)
class _Sender:
    store: Store
    manner: Manner

    def note_missing_webhook(self, pending: Sequence[Alert]) -> DispatchReport:
        for alert in pending:
            _log.warning("not sent, as %s: %s", NO_WEBHOOK, headline(alert, self.manner.zone))
        if pending:
            self._record_failure(pending, "not_sent", NO_WEBHOOK)
        return DispatchReport(not_sent=len(pending))

    def send_all(self, post: Post, alerts: Sequence[Alert], oldest: datetime) -> DispatchReport:
        """Send ``alerts``: those of windows that ended before ``oldest`` in one digest, if they are pending."""
        report = DispatchReport()
        refusals: list[SlackRefusedError] = []
        for alert in alerts:
            if alert.window_end >= oldest:
                try:
                    report.sent += self._send(post, [alert], self._message, digest=False)
                except SlackRefusedError as refusal:
                    # Raised at once, it would block the other alerts in every dispatch to come.
                    refusals.append(refusal)
        old = [alert for alert in alerts if alert.window_end < oldest and alert.status == "pending"]
        if old:
            report.digested = self._send(post, old, self._digest, digest=True)
        if refusals:
            raise refusals[0]
        return report

    def _message(self, due: Sequence[Alert]) -> Block:
        return message(due[0], self.manner.dagster_url, self.manner.zone, self.manner.web_url)

    def _digest(self, due: Sequence[Alert]) -> Block:
        return digest_message(due, self.manner.dagster_url, self.manner.web_url)

    def _send(
        self, post: Post, alerts: Sequence[Alert], payload_of: Callable[[Sequence[Alert]], Block], digest: bool
    ) -> int:
        """Post the message of those ``alerts`` that are still due, and record the outcome; returns how many they are.

        A verdict may have changed while other alerts were sent. Nothing is posted unless the attempt could be recorded.
        """
        with self.store.exclusive() as writer, transaction(writer):
            due_ids = record_attempt(writer, [alert.alert_id for alert in alerts], self.manner.clock())
        due = [alert for alert in alerts if alert.alert_id in due_ids]
        if not due:
            return 0
        payload = payload_of(due)
        try:
            post(payload)
        except SlackError as error:
            self._record_failure(due, "refused" if isinstance(error, SlackAnswerError) else "pending", str(error))
            raise
        with self.store.exclusive() as writer, transaction(writer):
            record_sent(writer, {alert.alert_id: reason(alert) for alert in due}, digest, self.manner.clock())
        _log.info("told Slack: %s", payload["text"])
        return len(due)

    def _record_failure(self, alerts: Sequence[Alert], status: str, outcome: str) -> None:
        with self.store.exclusive() as writer, transaction(writer):
            record_failure(writer, [alert.alert_id for alert in alerts], status, outcome, self.manner.clock())
