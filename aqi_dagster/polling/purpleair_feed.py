"""The feed of PurpleAir's API."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from aqi_dagster.errors import PurpleAirRefusedError
from aqi_dagster.feeds.context import Context
from aqi_dagster.feeds.sensor_list import Sensor
from aqi_dagster.polling.api import PassingFaultError, PurpleAir, Table
from aqi_dagster.polling.budget import Budget, DaySpentError, fitting_interval
from aqi_dagster.polling.clock import FeedClock
from aqi_dagster.polling.memory import Memory
from aqi_dagster.polling.prices import BASE_POINTS, request_points
from aqi_dagster.polling.rows import PLACE_FIELDS, READING_FIELDS, Found, read_places, read_readings
from aqi_dagster.polling.selections import Selection, of_indices
from aqi_dagster.polling.told_once import ToldOnce

SHORTEST_INTERVAL = 120.0
"""Seconds: sensors report every two minutes."""

PLACES_AGE = 86_400.0
"""Seconds after which it is asked again where the sensors are."""

FIRST_MAX_AGE = 3_600
"""Seconds: a sensor that last reported before that is not asked for in the first poll."""

OVERLAP = 60
"""Seconds before the end of the last answer's data from which the next one is to hold what is new."""

PATIENCE = 300.0
"""Seconds that a poll waits for a better answer; when PurpleAir asks for more, the next poll comes so much later."""

ATTEMPTS = 3

WHAT = "PurpleAir's API"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How often is asked (seconds), what a day may cost, whether indoors too, and how far ahead a time may lie."""

    interval: float = 600.0
    points_a_day: int = 150_000
    indoors: bool = False
    future_allowance: timedelta = timedelta(minutes=10)


class PurpleAirFeed:
    """Polls the sensors of ``selections``, and lays their new readings into the outbox of ``memory``.

    ``elsewhere`` returns the sensors that another feed has at a moment, which this one leaves out.
    """

    def __init__(
        self,
        api: PurpleAir,
        selections: Sequence[Selection],
        memory: Memory,
        context: Context,
        clock: FeedClock,
        options: Options,
        elsewhere: Callable[[float], Collection[str]] = lambda now: (),
    ) -> None:
        self._api = api
        self._selections = selections
        self._memory = memory
        self._context = context
        self.clock = clock
        self._options = options
        self._elsewhere = elsewhere
        self._budget = Budget(memory, clock, options.points_a_day)
        self.told = ToldOnce()
        self._places = memory.places()
        self._pause = 0.0
        self.interval = options.interval

    def list_sensors(self, max_age: float = PLACES_AGE) -> list[Sensor] | None:
        """The sensors that have reported within ``max_age`` seconds (0: ever); None if there was no answer."""
        found: dict[int, Sensor] = {}
        for selection in self._selections:
            table = self._ask_places(selection, max_age)
            if table is None:
                return None
            found.update({index: sensor for index, sensor in read_places(table)[0].items() if sensor is not None})
        return [found[index] for index in sorted(found)]

    @property
    def rows(self) -> int:
        """How many sensors the answers of one poll are of."""
        return sum(self._rows(selection) for selection in self._selections)

    def prepare(self) -> bool:
        """Ask where the sensors are, unless that is known; False if there was no answer.

        Then fit the interval to the points of a day; ``FeedError`` if there are too few.
        """
        for selection in self._selections:
            if 0 <= self.clock.now() - self._memory.number(f"places {self._name(selection)}") < PLACES_AGE:
                continue
            table = self._ask_places(selection)
            if table is None:
                return False
        self.interval = fitting_interval(max(self.poll_points, 1), self._options.interval, self._options.points_a_day)
        self._memory.note("interval", self.interval)
        self._memory.note("points_a_day", self._options.points_a_day)
        return True

    @property
    def poll_points(self) -> int:
        """What one poll costs if every sensor has something new."""
        return sum(
            request_points([*selection.fields, *READING_FIELDS], self._rows(selection))
            for selection in self._selections
        )

    def poll(self) -> float:
        """Ask all selections once; returns the seconds until the next poll."""
        begun = self.clock.clock.monotonic()
        self._wait_for_data()
        self._pause = 0.0
        if self.prepare():
            for selection in self._selections:
                if not self._poll(selection):
                    break
        rest = self.interval - (self.clock.clock.monotonic() - begun)
        return max(rest, self._pause, 1.0)

    def _wait_for_data(self) -> None:
        """Let two minutes pass since the last question: before, the data are the same.

        A question whose answer was never noted, because the process died, is asked again at once, one time.
        """
        since = self.clock.now() - max(map(self._memory.number, ("asked_at", "answered_at")))
        unanswered = int(self._memory.number("unanswered"))
        if unanswered != 1 and 0 <= since < SHORTEST_INTERVAL:
            self.clock.clock.sleep(SHORTEST_INTERVAL - since)

    def _poll(self, selection: Selection) -> bool:
        name = self._name(selection)
        since = self._memory.noted(f"current {name}")
        further = {"modified_since": since} if since else {"max_age": str(FIRST_MAX_AGE)}
        with self._memory.transaction():
            self._memory.note("asked_at", self.clock.now())
            self._memory.note("unanswered", int(self._memory.number("unanswered")) + 1)
        table = self._ask(selection, READING_FIELDS, further, self._rows(selection))
        if table is None:
            self._memory.note("unanswered", 0)
            return False
        newest = (table.told or self.clock.now()) + self._options.future_allowance.total_seconds()
        found = self._read(table, newest)
        if found.unknown and self._find(found.unknown):
            found = self._read(table, newest)
        for reason, sensors in found.left_out.items():
            self.told.left_out(reason, sensors)
        with self._memory.transaction():
            taken = self._memory.take(found.readings, self.clock.now())
            self._memory.note(f"current {name}", _current(table))
            self._memory.note(f"rows {name}", max(self._rows(selection), len(table.rows)))
            self._memory.note("answered_at", self.clock.now())
            self._memory.note("unanswered", 0)
        _log.debug("%s: %d rows, %d new readings", name, len(table.rows), taken)
        return True

    def _read(self, table: Table, newest: float) -> Found:
        found = read_readings(table, self._places, self._context, newest, self._options.indoors)
        elsewhere = self._elsewhere(self.clock.now())
        if elsewhere:
            theirs = [reading.sensor for reading in found.readings if reading.sensor in elsewhere]
            found.readings = [reading for reading in found.readings if reading.sensor not in elsewhere]
            found.left_out["the feed of the local network has it"] += theirs
        return found

    def _find(self, unknown: Sequence[int]) -> bool:
        """Ask where sensors are that are new in an answer; those it knows nothing of are not asked for again."""
        for selection in of_indices(sorted(set(unknown))):
            table = self._ask(selection, PLACE_FIELDS, {"max_age": "0"}, len(unknown))
            if table is None:
                return False
            places, _ = read_places(table)
            self._remember({index: places.get(index) for index in unknown})
        return True

    def _ask_places(self, selection: Selection, max_age: float = PLACES_AGE) -> Table | None:
        """Where the sensors of ``selection`` are, which is noted; None if there was no answer."""
        table = self._ask(selection, PLACE_FIELDS, {"max_age": str(round(max_age))}, self._rows(selection))
        if table is not None:
            self._note_places(table, selection)
        return table

    def _note_places(self, table: Table, selection: Selection) -> None:
        places, strange = read_places(table)
        self._remember(places)
        with self._memory.transaction():
            self._memory.note(f"places {self._name(selection)}", self.clock.now())
            self._memory.note(f"rows {self._name(selection)}", len(table.rows))
        if strange:
            self.told.left_out("a row that tells of no sensor", [WHAT])
        named = selection.parameters.get("show_only", "")
        missing = [index for index in named.split(",") if index and int(index) not in places]
        self.told.left_out("PurpleAir has no such public sensor outdoors that reported within a day", missing)

    def _remember(self, places: Mapping[int, Sensor | None]) -> None:
        with self._memory.transaction():
            self._memory.note_places(places)
        self._places.update(places)

    def _ask(self, selection: Selection, fields: Sequence[str], further: Mapping[str, str], rows: int) -> Table | None:
        """An answer, after some attempts; None, and what is the matter is told, if there is none now."""
        outdoors = {} if self._options.indoors else {"location_type": "0"}
        retrying = Retrying(
            retry=retry_if_exception_type(PassingFaultError),
            stop=lambda state: stop_after_attempt(ATTEMPTS)(state) or _retry_after(state) > PATIENCE,
            wait=lambda state: _retry_after(state) or wait_random_exponential(multiplier=5, max=60)(state),
            sleep=self.clock.clock.sleep,
            reraise=True,
        )
        try:
            table: Table = retrying(self._ask_once, selection, fields, {**outdoors, **further}, rows)
        except PassingFaultError as error:
            self._pause = max(self._pause, error.retry_after or 0.0)
            problem = str(error)
        except DaySpentError as error:
            self._pause = max(self._pause, error.seconds)
            problem = f"the {self._options.points_a_day:,} points of this day are used up; it goes on at 00:00 UTC"
        else:
            self.told.well(WHAT)
            self._memory.note("trouble", None)
            return table
        self.told.trouble(WHAT, problem)
        self._memory.note("trouble", problem)
        return None

    def _ask_once(self, selection: Selection, fields: Sequence[str], further: Mapping[str, str], rows: int) -> Table:
        asked = [*selection.fields, *fields]
        with self._budget.request(request_points(asked, rows)) as settle:
            try:
                table = self._api.sensors(selection, fields, further)
            except PassingFaultError as error:
                self._learn(error.told)
                if not error.charged:
                    settle(BASE_POINTS)
                raise
            except PurpleAirRefusedError as error:
                settle(BASE_POINTS)
                self._memory.note("trouble", str(error))
                raise
            self._learn(table.told)
            settle(request_points(asked, len(table.rows)))
            return table

    def _learn(self, told: float | None) -> None:
        if told is not None and self.clock.learn(told):
            self._memory.note("latest", told)
        elif told is not None:
            self.told.trouble(
                "Clock", "this machine's and PurpleAir's are more than a day apart: see which one is wrong"
            )

    def _rows(self, selection: Selection) -> int:
        """How many rows an answer is expected to have at most."""
        noted = self._memory.noted(f"rows {self._name(selection)}")
        return int(noted) if noted is not None else selection.most or 0

    def _name(self, selection: Selection) -> str:
        return f"{selection.name}{', indoors too' if self._options.indoors else ''}"


def _current(table: Table) -> int | None:
    """From when on the next answer is to hold what is new; None: all that is recent.

    After an answer without rows all is asked for again: should its time have been wrong, nothing would ever come.
    """
    times = [time for time in (table.told, table.current) if time is not None]
    return round(min(times)) - OVERLAP if times and table.rows else None


def _retry_after(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return (error.retry_after or 0.0) if isinstance(error, PassingFaultError) else 0.0
