"""What a channel is: somebody who can be told a message."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aqi_dagster.pipeline.alerts.markup import Block
from aqi_dagster.pipeline.verdicts.outbox.due_alerts import Alert


@dataclass(frozen=True)
class Message:
    """One message: the alerts that it tells, several in a digest of old windows, and what Slack would be posted."""

    alerts: Sequence[Alert]
    payload: Block


@dataclass(frozen=True)
class Channel:
    """Somebody beside Slack who is told of alerts, by the ``name`` under which the outbox records it.

    ``tell`` delivers a message or raises :class:`ChannelError`: :class:`ChannelRefusedError` if that concerns this
    message alone.
    """

    name: str
    tell: Callable[[Message], None]
