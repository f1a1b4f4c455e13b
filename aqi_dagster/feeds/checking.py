"""Messages by the pipeline's own definition, before they are sent."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from aqi_dagster.feeds.messages import Message
from aqi_dagster.feeds.sources import Source
from aqi_dagster.message_fields import FieldNames
from aqi_dagster.pipeline.decoding.decode import Decoded, decode
from aqi_dagster.pipeline.decoding.definition import time_of
from aqi_dagster.pipeline.topic.batches import MESSAGES_SCHEMA

Numbers = np.ndarray[Any, np.dtype[np.int32]]
Times = np.ndarray[Any, np.dtype[np.int64]]

_NO_TIME = np.iinfo(np.int64).min

AT_ONCE = 20_000
"""Messages that are decoded together."""

CHECKED_SCHEMA = pa.schema(
    [
        ("time", pa.int64()),
        ("source", pa.int32()),
        ("sensor", pa.int32()),
        ("pm25", pa.float64()),
        ("key", pa.binary()),
        ("value", pa.binary()),
    ]
)
"""Messages with the microsecond from 1970 that puts them in order, the number of their source and, of readings, that of
their sensor (else -1) and what it read."""


@dataclass
class Checker:
    """Decodes messages as the pipeline does, and keeps count for each source.

    ``newest`` is the latest time (naive UTC) that a reading may have; ``names`` are what the topic calls the fields.
    ``sources`` and ``sensors`` are in order of their numbers; ``of_sensors`` has the numbers of each sensor's sources.
    ``emptied`` counts readings by field that had something unreadable there, which is left out of them.
    """

    newest: datetime
    names: FieldNames

    def __post_init__(self) -> None:
        self.sources: list[Source] = []
        self.sensors: list[str] = []
        self.emptied: Counter[str] = Counter()
        self.of_sensors: set[tuple[int, int]] = set()
        self._numbers: dict[Source, int] = {}
        self._last_times: dict[int, int] = {}
        self._sensor_numbers: dict[str, int] = {}

    def check(self, found: Iterable[tuple[Source, Message]]) -> Iterator[pa.Table]:
        """Tables of the messages that were ``found`` (:data:`CHECKED_SCHEMA`), in their order."""
        rest = iter(found)
        while batch := [*islice(rest, AT_ONCE)]:
            yield self._check(batch)

    def _check(self, batch: list[tuple[Source, Message]]) -> pa.Table:
        count = len(batch)
        sources = np.array([self._number(source) for source, _ in batch], np.int32)
        keys = pa.array([message.key for _, message in batch], pa.binary())
        values = pa.array([message.value for _, message in batch], pa.binary())
        zeros = pa.array(np.zeros(count, np.int32))
        messages = pa.Table.from_arrays([zeros, pa.array(np.arange(count)), keys, values], schema=MESSAGES_SCHEMA)
        decoded = decode(messages, self.newest, timedelta(), self.names)
        self._count(decoded, sources)
        rows = decoded.readings["kafka_offset"].to_numpy()
        times, sensors, pm25 = np.full(count, _NO_TIME), np.full(count, -1, np.int32), np.full(count, np.nan)
        times[rows] = decoded.readings["created_at"].to_numpy().view(np.int64)
        for row in decoded.rejected["kafka_offset"].to_pylist():
            time = time_of(batch[row][1].value, self.names)
            times[row] = _NO_TIME if time is None else np.datetime64(time, "us").astype(np.int64)
        sensors[rows] = self._numbers_of_sensors(decoded.readings["sensor"])
        pm25[rows] = decoded.readings["pm25_cf1"].to_numpy()
        pairs = np.unique(np.stack([sensors[rows], sources[rows]]), axis=1)
        self.of_sensors.update(zip(*pairs.tolist(), strict=True))
        self._put_in_place(times, sources)
        arrays = [pa.array(times), pa.array(sources), pa.array(sensors), pa.array(pm25)]
        return pa.Table.from_arrays([*arrays, keys, values], schema=CHECKED_SCHEMA)

    def _number(self, source: Source) -> int:
        number = self._numbers.setdefault(source, len(self.sources))
        if number == len(self.sources):
            self.sources.append(source)
        return number

    def _numbers_of_sensors(self, sensors: pa.ChunkedArray) -> Numbers:
        sensors = sensors.combine_chunks()
        numbers = [self._sensor_number(sensor) for sensor in sensors.dictionary.to_pylist()]
        found: Numbers = np.array(numbers, np.int32)[sensors.indices.to_numpy()]
        return found

    def _sensor_number(self, sensor: str) -> int:
        number = self._sensor_numbers.setdefault(sensor, len(self.sensors))
        if number == len(self.sensors):
            self.sensors.append(sensor)
        return number

    def _count(self, decoded: Decoded, sources: Numbers) -> None:
        """Add what became of messages to the counts of their ``sources``."""
        self.emptied += decoded.emptied
        for number, count in Counter(sources.tolist()).items():
            self.sources[number].messages += count
        readings = pa.table({"source": sources[decoded.readings["kafka_offset"].to_numpy()]}).append_column(
            "time", decoded.readings["created_at"]
        )
        spans = readings.group_by("source").aggregate([("time", "min"), ("time", "max"), ([], "count_all")])
        for row in spans.to_pylist():
            source = self.sources[row["source"]]
            source.readings += row["count_all"]
            source.first = min(source.first or row["time_min"], row["time_min"])
            source.last = max(source.last or row["time_max"], row["time_max"])
        places = sources[decoded.rejected["kafka_offset"].to_numpy()].tolist()
        for number, reason in zip(places, decoded.rejected["reason"].to_pylist(), strict=True):
            self.sources[number].reasons[reason] += 1

    def _put_in_place(self, times: Times, sources: Numbers) -> None:
        """Give messages without a time that of the message before it in its source, or of the next one."""
        known = times != _NO_TIME
        for number in np.unique(sources).tolist():
            rows = np.flatnonzero(sources == number)
            of_known = np.flatnonzero(known[rows])
            if len(of_known) < len(rows):
                before = np.searchsorted(of_known, np.arange(len(rows)), side="right") - 1
                first = times[rows[of_known[0]]] if len(of_known) else _NO_TIME
                earlier = self._last_times.get(number, first)
                known_times = np.append(times[rows[of_known]], earlier)
                times[rows] = known_times[before]
            self._last_times[number] = int(times[rows[-1]])
