"""The feed of sensors on the local network: at http://SENSOR/json each says what it measured in the last minutes."""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from aqi_dagster.errors import FeedError
from aqi_dagster.feeds.context import Context
from aqi_dagster.feeds.local_json import local_document, read_local
from aqi_dagster.feeds.messages import Message
from aqi_dagster.feeds.sensor_list import device_id
from aqi_dagster.feeds.sources import Report
from aqi_dagster.feeds.times import seconds_of
from aqi_dagster.message_fields import INDEX_FIELD, PM25_FIELD, TIME_FIELD
from aqi_dagster.polling.asking import NoReplyError, ask
from aqi_dagster.polling.clock import FeedClock, in_words
from aqi_dagster.polling.memory import Memory, Reading
from aqi_dagster.polling.told_once import ToldOnce
from aqi_dagster.sensors import identity

PERIOD = 120
"""Seconds of which a sensor gives the mean."""

TIMEOUT_SECONDS = 10.0

PATIENCE = 900.0
"""Seconds after which a sensor that is away is named."""

AT_ONCE = 16
"""Sensors that are asked side by side, so that one that is away holds up few others, and not for long."""

OLDEST = 86_400
"""Seconds: a sensor whose time is longer ago has not set its clock yet."""

_LASER = re.compile(r"(pm|p_)\d.*")


@dataclass(frozen=True)
class Said:
    """What a sensor said, its number in the order of addresses, and why it said nothing, if so."""

    url: str
    document: dict[str, Any] | None
    problem: str = ""


def local_address(text: str) -> str:
    """The address to ask of the sensor that ``text`` names; ``FeedError`` if that is none.

    >>> local_address("192.168.1.20"), local_address("http://purpleair-1a2b/")
    ('http://192.168.1.20/json', 'http://purpleair-1a2b/json')
    """
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        usable = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
        )
    except ValueError:
        usable = False
    if not usable:
        raise FeedError(
            f"{text!r} is no address of a sensor, such as http://192.168.1.20 or http://purpleair-1a2b.local."
        )
    path = parts.path if parts.path.strip("/") else "/json"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


class LocalFeed:
    """Asks the sensors at ``addresses``, and lays their new readings into the outbox of ``memory``."""

    def __init__(
        self,
        addresses: Iterable[str],
        memory: Memory,
        context: Context,
        clock: FeedClock,
        interval: float = float(PERIOD),
        future_allowance: timedelta = timedelta(minutes=10),
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self.addresses = list(dict.fromkeys(map(local_address, addresses)))
        self._memory = memory
        self._context = context
        self.clock = clock
        self.interval = interval
        self._allowance = future_allowance.total_seconds()
        self._timeout = timeout
        self.told = ToldOnce()
        self._away_since: dict[str, float] = {}
        self._devices: dict[str, set[str]] = defaultdict(set)

    def poll(self) -> float:
        """Ask all sensors once; returns the seconds until the next poll."""
        begun = self.clock.clock.monotonic()
        with ThreadPoolExecutor(min(AT_ONCE, len(self.addresses))) as pool:
            answers = list(pool.map(self._ask, self.addresses))
        readings = self._readings(answers)
        self._name_silent(answers)
        with self._memory.transaction():
            self._memory.take(readings, self.clock.now())
            self._memory.note("interval", self.interval)
            self._memory.note("sensors", len(self.addresses))
            self._memory.note("asked_at", self.clock.now())
            if any(answer.document for answer in answers):
                self._memory.note("answered_at", self.clock.now())
            away = [url for url, since in self._away_since.items() if self.clock.now() - since >= PATIENCE]
            self._memory.note("trouble", f"no answer from {', '.join(away[:5])}" if away else None)
        return max(self.interval - (self.clock.clock.monotonic() - begun), 1.0)

    def _ask(self, url: str) -> Said:
        try:
            reply = ask(url, {}, {}, self._timeout, through_proxy=False)
        except NoReplyError as error:
            return Said(url, None, str(error))
        if reply.status != 200:
            return Said(url, None, f"HTTP {reply.status}")
        document = local_document(reply.body.decode("utf-8", "replace"))
        return Said(url, document, "" if document else "it answers, but not as a PurpleAir sensor does at /json")

    def _readings(self, answers: Sequence[Said]) -> list[Reading]:
        found: list[tuple[str, Reading]] = []
        for answer in answers:
            if answer.document is not None:
                found += [(device_id(str(answer.document["SensorId"])), each) for each in self._of(answer)]
        for device, reading in found:
            self._devices[reading.sensor].add(device)
        alone = [reading for _, reading in found if len(self._devices[reading.sensor]) == 1]
        several = {reading.sensor for _, reading in found if len(self._devices[reading.sensor]) > 1}
        self.told.left_out("several sensors say that they are there; --sensors tells them apart", several)
        return [reading for reading in alone if not self._is_repeated(reading)]

    def _of(self, answer: Said) -> list[Reading]:
        """The reading that a sensor told of, unless it is none."""
        document = answer.document or {}
        context = replace(self._context, report=Report())
        messages = [message for _, message in read_local(Path("sensor"), 1, document, context)]
        problems = [fault.partition(": ")[2] for fault in context.report.faults]
        readings = [self._reading(message, document) for message in messages]
        now = self.clock.now()
        if any(self._context.names[PM25_FIELD] not in json.loads(message.value) for message in messages):
            problems.append("it has no PM2.5 of the first laser")
        elif any(reading.time > now + self._allowance for reading in readings):
            problems.append("its time lies in the future")
        elif any(reading.time < now - OLDEST for reading in readings):
            problems.append("its time is more than a day ago, so its clock is not set")
        for problem in problems:
            self.told.left_out(problem, [answer.url])
        return [] if problems else readings

    def _reading(self, message: Message, document: dict[str, Any]) -> Reading:
        value = json.loads(message.value)
        names = self._context.names
        time = seconds_of(value[names[TIME_FIELD]]) or 0
        index = value.get(names[INDEX_FIELD])
        lasers = sorted((name, str(text)) for name, text in document.items() if _LASER.fullmatch(name))
        mark = hashlib.sha256(repr(lasers).encode()).hexdigest()[:16]
        return Reading(identity(json.loads(message.key), None if index is None else int(index)), time, message, mark)

    def _is_repeated(self, reading: Reading) -> bool:
        """Whether it is the mean that was told before: a sensor's time goes on, while the mean is two minutes old."""
        time, mark = self._memory.newest(reading.sensor)
        return abs(reading.time - time) < PERIOD and reading.mark == mark

    def _name_silent(self, answers: Sequence[Said]) -> None:
        now = self.clock.now()
        for answer in answers:
            if answer.document is not None:
                self._away_since.pop(answer.url, None)
                self.told.well(answer.url)
            elif now - self._away_since.setdefault(answer.url, now) >= PATIENCE:
                since = in_words(self._away_since[answer.url])
                self.told.trouble(answer.url, f"nothing since {since}: {answer.problem}; it is asked on")
