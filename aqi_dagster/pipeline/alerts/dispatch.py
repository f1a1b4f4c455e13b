"""Sending the outbox: record each attempt before a channel is asked, and its outcome as soon as it answers.

:mod:`wording` and :mod:`slack_blocks` make the messages. Only an outcome that could not be recorded, or an answer that
never arrived whole, can repeat a message, and not for ever: after some attempts without an outcome the alert is named
as unknown. Nothing loses one. Channels are told side by side: none waits for another.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from aqi_dagster.errors import ChannelAnswerError, ChannelError, ChannelRefusedError
from aqi_dagster.pipeline.alerts.channels import Channel, Message
from aqi_dagster.pipeline.alerts.markup import Block
from aqi_dagster.pipeline.alerts.slack_blocks import credited, digest_message, headline, message
from aqi_dagster.pipeline.alerts.wording import reason
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.sql import transaction
from aqi_dagster.pipeline.verdicts.outbox.attempts import give_up, record_attempt, record_failure, record_sent
from aqi_dagster.pipeline.verdicts.outbox.channels import SLACK, tell_channels
from aqi_dagster.pipeline.verdicts.outbox.due_alerts import Alert, due_alerts
from aqi_dagster.windows import utc_now

NO_WEBHOOK = "no webhook is configured"

_log = logging.getLogger(__name__)

Post = Callable[[dict[str, Any]], None]


@dataclass
class DispatchReport:
    """How many alerts a dispatch sent to Slack one by one, folded into its digest, and could not send for want of it.

    ``elsewhere`` has how many each other channel was told, one by one or in a digest.
    """

    sent: int = 0
    digested: int = 0
    not_sent: int = 0
    elsewhere: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        outcomes = {
            "sent": self.sent,
            "folded into a digest": self.digested,
            f"not sent, as {NO_WEBHOOK}": self.not_sent,
            **{f"told by {channel}": number for channel, number in sorted(self.elsewhere.items())},
        }
        return "Alerts: " + (", ".join(f"{n} {outcome}" for outcome, n in outcomes.items() if n) or "none was pending")


@dataclass(frozen=True)
class Manner:
    """How alerts are told: with links to the Dagster UI at ``dagster_url`` and the page for people at ``web_url``.

    Beside UTC they show the time in ``zone``, or where the sensors are. ``clock`` tells the present moment (naive UTC):
    whoever replays the past has another one. ``source`` is where the readings are from, with its address.
    """

    dagster_url: str | None = None
    zone: str | None = None
    # Looked up when it is made, so that it is whatever clock the process goes by.
    clock: Callable[[], datetime] = field(default_factory=lambda: utc_now)
    web_url: str | None = None
    source: tuple[str, str] | None = None


IN_UTC = Manner()


def dispatch(
    store: Store,
    post: Post | None,
    digest_after: timedelta,
    manner: Manner = IN_UTC,
    others: Sequence[Channel] = (),
) -> DispatchReport:
    """Send every alert that is due through ``post`` to Slack, and to the ``others``.

    If ``post`` is None, it is noted that there is no webhook. Windows that ended longer than ``digest_after`` ago go
    into one digest. An alert that found no webhook is sent later only while its window is more recent than that. Alerts
    that are not sent stay pending, unless something else than the channel answered: then they are refused, until
    somebody has them sent again. Raises :class:`ChannelError` if a channel does not accept a message, once all channels
    were asked. A channel that may accept a message later gets no further one, one that refuses it all others.
    """
    now = manner.clock()
    with store.dispatching():
        with store.exclusive() as writer, transaction(writer):
            tell_channels(writer, [channel.name for channel in others], now, digest_after)
            give_up(writer, now)
            waiting = {name: due_alerts(writer, name) for name in (SLACK, *(channel.name for channel in others))}
        slack = _Sender(store, manner, SLACK)
        report = DispatchReport()
        tasks: list[Callable[[], object]] = []
        if post is None:
            pending = [alert for alert in waiting[SLACK] if alert.status == "pending"]
            report.not_sent = slack.note_missing_webhook(pending, alone=not others)
        else:
            tell = partial(_post, post)
            tasks.append(partial(slack.send_all, report, tell, waiting[SLACK], now - digest_after))
        for channel in others:
            tasks.append(partial(_tell, store, manner, channel, waiting[channel.name], now - digest_after, report))
        _run_side_by_side(tasks)
        return report


def _post(post: Post, message: Message) -> None:
    post(message.payload)


def _tell(
    store: Store, manner: Manner, channel: Channel, alerts: Sequence[Alert], oldest: datetime, report: DispatchReport
) -> None:
    """Send ``alerts`` to a channel beside Slack, and add to ``report`` how many it took."""
    own = DispatchReport()
    try:
        _Sender(store, manner, channel.name).send_all(own, channel.tell, alerts, oldest)
    finally:
        report.elsewhere |= {channel.name: own.sent + own.digested} if own.sent + own.digested else {}


def _run_side_by_side(tasks: Sequence[Callable[[], object]]) -> None:
    """Run all ``tasks`` to their ends; then raise what one of them raised, or the errors of several channels as one."""
    if len(tasks) == 1:
        tasks[0]()
        return
    with ThreadPoolExecutor(len(tasks) or 1, "tell-channel") as threads:
        errors = [error for error in [task.exception() for task in [*map(threads.submit, tasks)]] if error is not None]
    for error in errors:
        if len(errors) == 1 or not isinstance(error, ChannelError):
            raise error
    if errors:
        raise ChannelError(" ".join(map(str, errors)))


@dataclass(frozen=True)
class _Sender:
    store: Store
    manner: Manner
    channel: str

    def note_missing_webhook(self, pending: Sequence[Alert], alone: bool) -> int:
        """Record that Slack cannot be told, and log what nobody is told if Slack is ``alone``; returns how many."""
        for alert in pending if alone else []:
            _log.warning("not sent, as %s: %s", NO_WEBHOOK, headline(alert, self.manner.zone))
        if pending:
            self._record_failure(pending, "not_sent", NO_WEBHOOK)
        return len(pending)

    def send_all(
        self, report: DispatchReport, tell: Callable[[Message], None], alerts: Sequence[Alert], oldest: datetime
    ) -> None:
        """Send ``alerts``: those of windows that ended before ``oldest`` in one digest, if they are pending.

        How many were sent is added to ``report``.
        """
        refusals: list[ChannelRefusedError] = []
        for alert in alerts:
            if alert.window_end >= oldest:
                try:
                    report.sent += self._send(tell, [alert], self._message, digest=False)
                except ChannelRefusedError as refusal:
                    # Raised at once, it would block the other alerts in every dispatch to come.
                    refusals.append(refusal)
        old = [alert for alert in alerts if alert.window_end < oldest and alert.status == "pending"]
        if old:
            report.digested = self._send(tell, old, self._digest, digest=True)
        if refusals:
            raise refusals[0]

    def _message(self, due: Sequence[Alert]) -> Block:
        return message(due[0], self.manner.dagster_url, self.manner.zone, self.manner.web_url)

    def _digest(self, due: Sequence[Alert]) -> Block:
        return digest_message(due, self.manner.dagster_url, self.manner.web_url)

    def _send(
        self,
        tell: Callable[[Message], None],
        alerts: Sequence[Alert],
        payload_of: Callable[[Sequence[Alert]], Block],
        digest: bool,
    ) -> int:
        """Tell the message of those ``alerts`` that are still due, and record the outcome; returns how many they are.

        A verdict may have changed while other alerts were sent. Nothing is told unless the attempt could be recorded.
        """
        with self.store.exclusive() as writer, transaction(writer):
            ids = [alert.alert_id for alert in alerts]
            due_ids = record_attempt(writer, ids, self.manner.clock(), self.channel)
        due = [alert for alert in alerts if alert.alert_id in due_ids]
        if not due:
            return 0
        payload = payload_of(due)
        if self.manner.source is not None:
            payload = credited(payload, *self.manner.source)
        try:
            tell(Message(due, payload))
        except ChannelError as error:
            self._record_failure(due, "refused" if isinstance(error, ChannelAnswerError) else "pending", str(error))
            raise
        with self.store.exclusive() as writer, transaction(writer):
            told = {alert.alert_id: reason(alert) for alert in due}
            record_sent(writer, told, digest, self.manner.clock(), self.channel)
        _log.info("told %s: %s", "Slack" if self.channel == SLACK else self.channel, payload["text"])
        return len(due)

    def _record_failure(self, alerts: Sequence[Alert], status: str, outcome: str) -> None:
        with self.store.exclusive() as writer, transaction(writer):
            ids = [alert.alert_id for alert in alerts]
            record_failure(writer, ids, status, outcome, self.manner.clock(), self.channel)
