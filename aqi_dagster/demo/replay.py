"""The past look by look, on a simulated clock: what Slack would have been told, and when.

Readings go into a topic when their time has come, a look follows every few minutes, and each window is run ten minutes
after it ended. All of it is the pipeline itself, with a stand-in for Slack, in a folder that is gone afterwards.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.demo.transcript import as_text
from aqi_dagster.demo.webhook import WebhookReceiver
from aqi_dagster.feeds.feed import opened_feed
from aqi_dagster.feeds.messages import Message
from aqi_dagster.feeds.producer import TopicWriter, create_topic
from aqi_dagster.message_fields import OWN_NAMES
from aqi_dagster.pipeline.alerts.dispatch import Manner, dispatch
from aqi_dagster.pipeline.alerts.webhook import Webhook
from aqi_dagster.pipeline.decoding.definition import TIME_FORMAT
from aqi_dagster.pipeline.detection.anomalies import Thresholds, select_anomalies
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.detection.scoring import score_windows
from aqi_dagster.pipeline.health.judge_windows import judge_windows
from aqi_dagster.pipeline.health.sensors_to_judge import regions_hash, sensors_to_judge
from aqi_dagster.pipeline.readings.pull import PullPolicy, pull
from aqi_dagster.pipeline.regions.base import OneRegion
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.pipeline.topic.reader import TopicReader
from aqi_dagster.pipeline.verdicts.classify_windows import classify_windows
from aqi_dagster.pipeline.verdicts.look import Judging, look
from aqi_dagster.pipeline.verdicts.outbox.due_alerts import due_alerts
from aqi_dagster.pipeline.verdicts.rule_sets import RULE_SETS
from aqi_dagster.progress import Progress, unwatched, watched
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, utc_now, window_start

TOPIC = "replay"

AFTER_WINDOW = timedelta(minutes=10)
"""How long after its end a window is run, as the schedule does."""

DIGEST_AFTER = timedelta(hours=48)

FETCH_WAIT = {"fetch.wait.max.ms": "10"}
"""The embedded broker answers at once; thousands of pulls are not to wait for more."""


@dataclass(frozen=True)
class Told:
    """A message that the stand-in for Slack took at a simulated moment."""

    moment: datetime
    payload: dict[str, Any]

    def __str__(self) -> str:
        return f"=== {self.moment:%A, %Y-%m-%d %H:%M} UTC ===\n{as_text(self.payload)}\n"


@dataclass
class _Past:
    """A pipeline whose present is ``now``."""

    store: Store
    servers: str
    slack: WebhookReceiver
    judging: Judging
    now: datetime
    _opened: ExitStack = field(default_factory=ExitStack)
    _writer: Writer | None = None

    @property
    def writer(self) -> Writer:
        """The store, open until something is told: to open it for each look would take half of the time."""
        if self._writer is None:
            self._writer = self._opened.enter_context(self.store.exclusive())
        return self._writer

    def close(self) -> None:
        """Close the store."""
        self._writer = None
        self._opened.close()

    def take_in(self) -> None:
        """Pull what the topic holds."""
        reader = TopicReader({"bootstrap.servers": self.servers, **FETCH_WAIT}, TOPIC)
        pull(self.writer, reader, PullPolicy())

    def look(self) -> None:
        """Look at the open window."""
        look(self.writer, self.now, self.judging)

    def run(self, window: datetime) -> None:
        """What a run of the schedule does for a window that has ended."""
        windows, judging, writer = WindowRange(window, window), self.judging, self.writer
        judge_windows(
            writer,
            windows,
            judging.first_window,
            sensors_to_judge(writer, judging.regions),
            regions_hash(judging.regions),
        )
        list(score_windows(writer, windows, judging.first_window, judging.parameters))
        select_anomalies(writer, windows, judging.thresholds)
        classify_windows(writer, windows, judging.regions, judging.thresholds, judging.rules, self.now)

    def tell(self) -> Iterator[Told]:
        """Send what is due, and yield it."""
        if not due_alerts(self.writer):
            return
        self.close()
        before = len(self.slack.messages)
        dispatch(self.store, Webhook(self.slack.url).post, DIGEST_AFTER, Manner(clock=lambda: self.now))
        yield from (Told(self.now, payload) for payload in self.slack.messages[before:])


def replay(
    files: Sequence[Path], rules: str, region: str, step: timedelta, progress: Progress = unwatched
) -> Iterator[Told]:
    """What Slack would have been told of the readings in ``files``, by ``rules``, with a look every ``step``.

    ``progress`` is in messages read, and then in looks.
    """
    with opened_feed(files, utc_now(), names=OWN_NAMES, progress=progress) as feed:
        counts = feed.counts
        looks = (counts.last - counts.first) // step + 1 if counts.first and counts.last else 0
        yield from replay_messages(feed.messages(), rules, region, step, progress, looks)


def replay_messages(
    messages: Iterable[Message],
    rules: str,
    region: str,
    step: timedelta,
    progress: Progress = unwatched,
    looks: int | None = None,
) -> Iterator[Told]:
    """The same of ``messages`` in order of time, which call for so many ``looks``, about."""
    with ExitStack() as opened:
        folder = opened.enter_context(TemporaryDirectory())
        broker = opened.enter_context(EmbeddedBroker())
        slack = opened.enter_context(WebhookReceiver())
        config = {"bootstrap.servers": broker.bootstrap_servers}
        create_topic(config, TOPIC, 1)
        topic = TopicWriter(config, TOPIC)
        store = Store(Path(folder))
        past = None
        for moment, sent in watched(_by_moment(messages, step), "looks made", looks, progress):
            if past is None:
                judging = _judging(window_start(moment - step), rules, region)
                past = _Past(store, broker.bootstrap_servers, slack, judging, moment - step)
                opened.callback(past.close)
            topic.send(sent)
            topic.flush()
            yield from _pass(past, moment)
        if past is not None:
            yield from _pass(past, window_start(past.now - AFTER_WINDOW) + WINDOW_LENGTH + AFTER_WINDOW)


def _judging(first_window: datetime, rules: str, region: str) -> Judging:
    return Judging(first_window, OneRegion(region), RULE_SETS[rules], DetectorParameters(), Thresholds())


def _pass(past: _Past, moment: datetime) -> Iterator[Told]:
    """Have time pass to ``moment``: run the window that ended meanwhile, then look."""
    due = window_start(moment - AFTER_WINDOW) + AFTER_WINDOW
    past.take_in()
    if past.now < due <= moment and due - AFTER_WINDOW > past.judging.first_window:
        past.now = due
        past.run(due - AFTER_WINDOW - WINDOW_LENGTH)
        yield from past.tell()
    past.now = moment
    past.look()
    yield from past.tell()


def _by_moment(messages: Iterable[Message], step: timedelta) -> Iterator[tuple[datetime, list[Message]]]:
    """Moments ``step`` apart, each with the messages since the one before, without a gap."""
    last = None
    for moment, sent in groupby(messages, lambda one: _end_of_step(_created_at(one), step)):
        while last is not None and last + step < moment:
            last += step
            yield last, []
        last = moment
        yield moment, list(sent)


def _end_of_step(moment: datetime, step: timedelta) -> datetime:
    begin = window_start(moment)
    return begin + ((moment - begin) // step + 1) * step


def _created_at(message: Message) -> datetime:
    return datetime.strptime(json.loads(message.value)["created_at"], TIME_FORMAT)  # noqa: DTZ007 (naive UTC by convention)
