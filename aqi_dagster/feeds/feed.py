"""Files of readings, read and checked as a whole before anything is sent."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from aqi_dagster.feeds.checking import Checker
from aqi_dagster.feeds.context import Context
from aqi_dagster.feeds.finding import find_files
from aqi_dagster.feeds.messages import Message
from aqi_dagster.feeds.reading import read_files
from aqi_dagster.feeds.sensor_list import SensorList
from aqi_dagster.feeds.sorting import SortedMessages
from aqi_dagster.feeds.sources import Report, Source
from aqi_dagster.message_fields import OWN_NAMES, FieldNames
from aqi_dagster.pipeline.numbers import counted
from aqi_dagster.progress import Progress, unwatched
from aqi_dagster.sensors import coordinates


@dataclass
class Counts:
    """What is there to be sent: messages, and what they are by the definition of a reading.

    ``repeated`` are readings of the same sensor and time as one before them, which the pipeline does not score;
    ``other_values`` counts those among them that read something else, by the two sources. Times are naive UTC.
    """

    messages: int = 0
    readings: int = 0
    sensors: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    emptied: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    other_values: Counter[tuple[Source, Source]] = field(default_factory=Counter)
    first: datetime | None = None
    last: datetime | None = None


class Feed:
    """The messages of files in order of time, with what there is to say of them.

    Made by :func:`opened_feed`.
    """

    def __init__(self, report: Report, checker: Checker, sorted_messages: SortedMessages) -> None:
        self.report = report
        self._checker = checker
        self._sorted = sorted_messages
        self._excluded = self._places_with_several_devices()
        self._note_places_in_several_spellings()
        self.counts = self._count()

    def messages(self) -> Iterator[Message]:
        """All messages in order of time; may be called again."""
        for table in self._tables():
            yield from map(Message, table["key"].to_pylist(), table["value"].to_pylist())

    @property
    def sources(self) -> list[Source]:
        """Where they come from, with what each holds, sent or not."""
        return self._checker.sources

    def _places_with_several_devices(self) -> set[tuple[int, int]]:
        """The numbers of sensors and sources whose devices nobody can tell apart; they are not sent.

        What is no reading in a source of which nothing else is sent is there as of sensor -1.
        """
        sources = defaultdict(list)
        for sensor, number in sorted(self._checker.of_sensors):
            if self._checker.sources[number].device is not None:
                sources[sensor].append(number)
        excluded: set[tuple[int, int]] = set()
        for sensor, numbers in sources.items():
            found = [self._checker.sources[number] for number in numbers]
            if len({source.device for source in found}) > 1:
                self.report.fault(
                    f"{self._checker.sensors[sensor]} is the place of several devices that nothing tells apart, so "
                    f"none of them is sent: {' and '.join(map(str, found))}"
                )
                excluded.update((sensor, number) for number in numbers)
        sent = {number for sensor, number in self._checker.of_sensors if (sensor, number) not in excluded}
        return excluded | {(-1, number) for _, number in excluded if number not in sent}

    def _note_places_in_several_spellings(self) -> None:
        spellings = defaultdict(list)
        for sensor in sorted(self._checker.sensors):
            spellings[coordinates(sensor), sensor.partition("#")[2]].append(sensor)
        for sensors in spellings.values():
            if len(sensors) > 1:
                what = " and ".join(repr(sensor) for sensor in sensors)
                self.report.notes.append(f"{what} are one place in different digits, and so different sensors")

    def _tables(self) -> Iterator[pa.Table]:
        """What is to be sent, in order of time."""
        width = len(self._checker.sources)
        excluded = np.array([sensor * width + source for sensor, source in sorted(self._excluded)], np.int64)
        for table in self._sorted.read():
            if len(excluded):
                codes = table["sensor"].to_numpy().astype(np.int64) * width + table["source"].to_numpy()
                table = table.filter(pa.array(~np.isin(codes, excluded)))
            yield table

    def _count(self) -> Counts:
        counts = Counts(emptied=self._checker.emptied)
        for number, source in enumerate(self._checker.sources):
            if (-1, number) not in self._excluded:
                counts.reasons += source.reasons
        sensors: set[int] = set()
        for table in self._tables():
            readings = table.filter(pa.array(table["sensor"].to_numpy() >= 0))
            counts.messages += len(table)
            if len(readings):
                counts.readings += len(readings)
                sensors.update(np.unique(readings["sensor"].to_numpy()).tolist())
                times = readings["time"].to_numpy()
                counts.first = counts.first or _moment(times[0])
                counts.last = _moment(times[-1])
                self._count_repeats(readings, counts)
        counts.sensors = len(sensors)
        return counts

    def _count_repeats(self, readings: pa.Table, counts: Counts) -> None:
        times, sensors, pm25 = (readings[name].to_numpy() for name in ("time", "sensor", "pm25"))
        order = np.lexsort((np.arange(len(times)), sensors, times))
        begins = np.ones(len(order), np.bool_)
        begins[1:] = (times[order][1:] != times[order][:-1]) | (sensors[order][1:] != sensors[order][:-1])
        if begins.all():
            return
        firsts = order[np.flatnonzero(begins)[np.cumsum(begins) - 1]]
        counts.repeated += int(np.count_nonzero(~begins))
        others = np.flatnonzero(~begins & (pm25[order] != pm25[firsts]))
        sources = readings["source"].to_numpy()
        for first, second in zip(sources[firsts[others]].tolist(), sources[order[others]].tolist(), strict=True):
            counts.other_values[self._checker.sources[first], self._checker.sources[second]] += 1


@contextmanager
def opened_feed(
    paths: Iterable[Path],
    newest: datetime,
    sensor_lists: Iterable[Path] = (),
    names: FieldNames = OWN_NAMES,
    progress: Progress = unwatched,
) -> Iterator[Feed]:
    """What the files ``paths``, and those below folders among them, hold, read and checked.

    A reading may be as late as ``newest`` (naive UTC); ``names`` are what the topic calls the fields; ``progress`` is
    in messages. Raises ``InputFileError`` if a list of sensors
    cannot be read; what is wrong with other files is in the feed's report.
    """
    context = Context(SensorList(), names)
    for path in sensor_lists:
        count = context.sensors.add(path)
        context.report.notes.append(f"{path}: a list of {counted(count, 'sensor')}")
    lists = {path.resolve() for path in sensor_lists}
    files = [file for file in find_files(paths, context.report) if file.resolve() not in lists]
    checker = Checker(newest, names)
    with SortedMessages() as sorted_messages:
        read = 0
        for table in checker.check(read_files(files, context)):
            sorted_messages.add(table)
            read += len(table)
            progress("messages read from files", read)
        yield Feed(context.report, checker, sorted_messages)


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(int(microseconds) // 1_000_000, UTC).replace(tzinfo=None)
