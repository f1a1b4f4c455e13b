"""Posting alerts as plain JSON to any address.

Any 2xx is a delivery, unless its text is a page or says that ``ok`` is false: a proxy may answer in its place.
"""

from datetime import datetime
from typing import Any, ClassVar

from aqi_dagster.errors import ChannelAnswerError, ChannelError, ChannelRefusedError
from aqi_dagster.pipeline.alerts.channels import Channel, Message
from aqi_dagster.pipeline.alerts.plain_text import plain_headline, plain_lines
from aqi_dagster.pipeline.alerts.webhook import Answer, Webhook, says_ok, says_taken
from aqi_dagster.pipeline.alerts.wording import reason, title
from aqi_dagster.pipeline.verdicts.outbox.due_alerts import Alert

WEBHOOK = "webhook"

FORMAT = 1
"""Version of the JSON: it grows when a field is taken away or comes to mean something else."""


class JsonWebhook(Webhook):
    """An address that takes JSON."""

    name: ClassVar[str] = "The webhook"
    setting: ClassVar[str] = "ALERT_WEBHOOK_URL"
    valid_url: ClassVar[str] = "It begins with https:// or http://."
    look_at: ClassVar[str] = "Check that what answers at ALERT_WEBHOOK_URL takes a POST of JSON there."
    error: ClassVar[type[ChannelError]] = ChannelError
    refusal: ClassVar[type[ChannelRefusedError]] = ChannelRefusedError

    def judge_success(self, answer: Answer) -> ChannelError | None:
        """None unless a 2xx answer is a page, or says that it did not take the message."""
        text = answer.text.strip()
        is_page = "html" in answer.content_type.lower() or text[:1] == b"<"
        if says_taken(answer) or not (is_page or says_ok(text) is False):
            return None
        what = "a page" if is_page else '"ok": false'
        return ChannelAnswerError(
            f"HTTP {answer.status} with {what}. The message may have been taken or not, and is not posted again by "
            "itself: check what answers at the URL in ALERT_WEBHOOK_URL, then run `aqi-dagster alert --again`."
        )


def json_channel(webhook: JsonWebhook) -> Channel:
    """The channel that posts alerts to ``webhook``."""
    return Channel(WEBHOOK, lambda message: webhook.post(json_message(message)))


def json_message(message: Message) -> dict[str, Any]:
    """What is posted: the message in words, and its alerts by their fields; times are ISO, in UTC."""
    return {
        "format": FORMAT,
        "text": plain_headline(message.payload),
        "lines": plain_lines(message.payload),
        "alerts": [_fields(alert) for alert in message.alerts],
    }


def _fields(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.alert_id,
        "kind": alert.kind,
        "verdict": alert.verdict,
        "previous_verdict": alert.previous_verdict,
        "title": title(alert),
        "reason": reason(alert),
        "region": alert.region,
        "sensor": alert.subject,
        "window_start": _time(alert.window_start),
        "window_end": _time(alert.window_end),
        "as_of": _time(alert.as_of),
        "since": _time(alert.since),
        "level": alert.level,
        "trend": alert.trend,
        "max_pm25": alert.max_pm25,
        "aqi": alert.aqi_of_max if alert.as_of is None else alert.aqi_of_nowcast,
        "sensors": alert.sensors,
        "healthy_sensors": alert.healthy_sensors,
        "broken_sensors": alert.broken_sensors,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment.isoformat(timespec='seconds')}Z"
