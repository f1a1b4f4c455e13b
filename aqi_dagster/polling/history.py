"""Filling a range of time from the history of PurpleAir's API, piece by piece, so that it can be gone on with."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from aqi_dagster.errors import FeedError
from aqi_dagster.feeds.api_csv import read_history
from aqi_dagster.feeds.context import Context
from aqi_dagster.feeds.messages import Message
from aqi_dagster.feeds.sensor_list import Sensor, SensorList
from aqi_dagster.feeds.sources import Report
from aqi_dagster.feeds.times import seconds_of
from aqi_dagster.message_fields import TIME_FIELD
from aqi_dagster.polling.api import PassingFaultError, PurpleAir
from aqi_dagster.polling.clock import FeedClock, day_of, in_words
from aqi_dagster.polling.delivery import Delivery
from aqi_dagster.polling.memory import Memory
from aqi_dagster.polling.prices import BASE_POINTS, request_points
from aqi_dagster.polling.questions import retry_after
from aqi_dagster.polling.rows import READING_FIELDS
from aqi_dagster.progress import Progress, unwatched, watched

DAY = 86_400

LONGEST_PIECE = {0: 30 * DAY, 10: 60 * DAY, 30: 90 * DAY, 60: 180 * DAY}
"""Minutes of which a row is the mean (0: as reported) to the longest range, in seconds, of one request."""

HISTORY_FIELDS = tuple(field for field in READING_FIELDS if field != "last_seen")

BETWEEN_REQUESTS = 1.0
"""Seconds between two requests: the API limits their rate."""

ATTEMPTS = 8


@dataclass(frozen=True)
class Piece:
    """The readings of a sensor from ``first`` on and before ``end``, in seconds since 1970, by ``average`` minutes."""

    index: int
    first: int
    end: int
    average: int

    @property
    def points(self) -> int:
        """The most that it can cost."""
        seconds = self.average * 60 or 120
        return request_points(HISTORY_FIELDS, -(-(self.end - self.first) // seconds))


Span = tuple[int, int]
"""A range of time, its end excluded, in seconds since 1970."""


def uncovered(span: Span, covered: Sequence[Span]) -> list[Span]:
    """What of ``span`` lies in none of ``covered``.

    >>> uncovered((0, 10), [(2, 4), (3, 6), (9, 20)])
    [(0, 2), (6, 9)]
    """
    begin, end = span
    found = []
    for first, last in sorted(covered):
        if first >= end:
            break
        if first > begin:
            found.append((begin, first))
        begin = max(begin, last)
    return [*found, (begin, end)] if begin < end else found


def cut(number: int, spans: Sequence[Span], average: int) -> list[Piece]:
    """The requests for the readings of a sensor in ``spans``, none longer than the API allows.

    >>> [piece.end - piece.first for piece in cut(30001, [(0, 70 * DAY)], 10)]
    [5184000, 864000]
    """
    length = LONGEST_PIECE[average]
    return [
        Piece(number, start, min(start + length, end), average)
        for first, end in spans
        for start in range(first, end, length)
    ]


def history_span(first: str | None, days: float | None, last: str | None, polled: float, step: int) -> Span:
    """The range that options name, in whole steps of so many seconds; ``polled`` is its end if none is named.

    Raises ``FeedError`` if they name none.
    """
    end = _moment("--to", last) if last else int(polled)
    if (first is None) == (days is None):
        raise FeedError("Since when? Name either --from, such as 2026-11-20T00:00, or --days.")
    begin = _moment("--from", first) if first else end - round((days or 0) * DAY)
    begin, end = begin - begin % step, end - end % step
    if begin >= end:
        raise FeedError(f"The range from {in_words(begin)} to {in_words(end)} is empty.")
    return begin, end


def _moment(option: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise FeedError(f"{option} {text}: {error}.") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


class History:
    """Lays the readings of sensors whose place is known into the outbox of ``memory``."""

    def __init__(
        self, api: PurpleAir, sensors: Sequence[Sensor], memory: Memory, context: Context, clock: FeedClock
    ) -> None:
        self._api = api
        self._memory = memory
        known = SensorList()
        known.by_index = {sensor.index: sensor for sensor in sensors if sensor.index is not None}
        known.by_index.update(context.sensors.by_index)
        self._context = replace(context, sensors=known)
        self._clock = clock
        self.problems: list[str] = []

    def missing(self, span: Span, average: int) -> list[Piece]:
        """What of ``span`` was not filled before, for each sensor that is known."""
        return [
            piece
            for index in sorted(self._context.sensors.by_index)
            for piece in cut(index, uncovered(span, self._covered(index, average)), average)
        ]

    def _covered(self, index: int, average: int) -> list[Span]:
        """What was filled of a sensor."""
        noted = self._memory.noted(f"filled {index} {average}") or ""
        spans = [part.split("-") for part in noted.split(",") if part]
        return [(int(first), int(end)) for first, end in spans]

    def fill(self, piece: Piece) -> int:
        """Lay the readings of ``piece`` into the outbox, in order of time, and note it as done; returns their number.

        Raises ``FeedError`` if there is no answer after some attempts.
        """
        text = self._ask(piece)
        messages = list(self._read(piece, text))
        with self._memory.transaction():
            self._memory.put(messages)
            covered = [*self._covered(piece.index, piece.average), (piece.first, piece.end)]
            spans = ",".join(f"{first}-{end}" for first, end in covered)
            self._memory.note(f"filled {piece.index} {piece.average}", spans)
        self._clock.clock.sleep(BETWEEN_REQUESTS)
        return len(messages)

    def fill_all(self, wanted: Sequence[Piece], delivery: Delivery, progress: Progress = unwatched) -> int:
        """Fill all ``wanted`` pieces, and send each; returns how many readings they hold. ``progress`` is in requests.

        Raises ``KafkaError`` if the brokers do not take the last of it; it waits then, and goes out the next time.
        """
        count = 0
        delivery.deliver(self._clock.now())
        for piece in watched(wanted, "requests answered", len(wanted), progress):
            count += self.fill(piece)
            delivery.deliver(self._clock.now())
        if delivery.failure is not None:
            raise delivery.failure
        return count

    def _ask(self, piece: Piece) -> str:
        retrying = Retrying(
            retry=retry_if_exception_type(PassingFaultError),
            stop=stop_after_attempt(ATTEMPTS),
            wait=lambda state: retry_after(state) or wait_random_exponential(multiplier=2, max=120)(state),
            sleep=self._clock.clock.sleep,
            reraise=True,
        )
        try:
            text: str = retrying(self._ask_once, piece)
        except PassingFaultError as error:
            problem = str(error)
        else:
            return text
        raise FeedError(
            f"PurpleAir's API gives no history of sensor {piece.index}: {problem}. What came before is kept: the same "
            "command goes on where this one ended."
        )

    def _ask_once(self, piece: Piece) -> str:
        day = day_of(self._clock.now())
        self._memory.spend(day, piece.points)
        try:
            text = self._api.history(piece.index, HISTORY_FIELDS, piece.first, piece.end, piece.average)
        except PassingFaultError as error:
            if not error.charged:
                self._memory.spend(day, BASE_POINTS - piece.points)
            raise
        self._memory.spend(day, request_points(HISTORY_FIELDS, text.count("\n") - 1) - piece.points)
        return text

    def _read(self, piece: Piece, text: str) -> Iterator[Message]:
        """The messages of a CSV, in order of time: as of a file, by the same reader."""
        context = replace(self._context, report=Report())
        with TemporaryDirectory(prefix="history-") as folder:
            file = Path(folder, f"{piece.index} history.csv")
            file.write_text(text)
            messages = [message for _, message in read_history(file, context)]
        for fault in context.report.faults:
            self.problems.append(fault.replace(f"{file}", f"history of sensor {piece.index}"))
        name = context.names[TIME_FIELD]
        yield from sorted(messages, key=lambda message: seconds_of(json.loads(message.value)[name]) or 0)
