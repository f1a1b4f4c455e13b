"""The feed of PurpleAir's API."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from aqi_dagster.errors import FeedError
from aqi_dagster.feeds.context import Context
from aqi_dagster.feeds.sensor_list import Sensor
from aqi_dagster.polling.api import PurpleAir, Table
from aqi_dagster.polling.budget import LONGEST_INTERVAL, fitting_interval
from aqi_dagster.polling.clock import FeedClock
from aqi_dagster.polling.memory import Memory
from aqi_dagster.polling.prices import request_points
from aqi_dagster.polling.questions import WHAT, Questions
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
        self._selections = selections
        self._memory = memory
        self._context = context
        self.clock = clock
        self._options = options
        self._elsewhere = elsewhere
        self.told = ToldOnce()
        outdoors = {} if options.indoors else {"location_type": "0"}
        self._questions = Questions(api, memory, clock, options.points_a_day, outdoors, self.told)
        self._places = memory.places()
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
        self._questions.pause = 0.0
        if self._prepare_anew():
            for selection in self._selections:
                if not self._poll(selection):
                    break
        rest = self.interval - (self.clock.clock.monotonic() - begun)
        return max(rest, self._questions.pause, 1.0)

    def _prepare_anew(self) -> bool:
        """The same in the middle, when sensors that became too many are no reason to end: the budget holds them."""
        try:
            return self.prepare()
        except FeedError as error:
            self.interval = LONGEST_INTERVAL
            self.told.trouble(WHAT, str(error))
            return True

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
        table = self._questions.ask(selection, READING_FIELDS, further, self._rows(selection))
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
            table = self._questions.ask(selection, PLACE_FIELDS, {"max_age": "0"}, len(unknown))
            if table is None:
                return False
            places, _ = read_places(table)
            self._remember({index: places.get(index) for index in unknown})
        return True

    def _ask_places(self, selection: Selection, max_age: float = PLACES_AGE) -> Table | None:
        """Where the sensors of ``selection`` are, which is noted; None if there was no answer."""
        table = self._questions.ask(selection, PLACE_FIELDS, {"max_age": str(round(max_age))}, self._rows(selection))
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
