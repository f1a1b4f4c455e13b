"""Decoding alone, without broker or database: ordinary messages, those of PurpleAir's API, those read one by one."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

import pyarrow as pa

from aqi_dagster.feeds.messages import Message
from aqi_dagster.pipeline.decoding.decode import decode
from aqi_dagster.pipeline.topic.batches import MESSAGES_SCHEMA
from aqi_dagster.pipeline.topic.reader import BATCH_MESSAGES
from aqi_dagster.windows import utc_now
from benchmarks import generator
from benchmarks.measuring import Figures

_ONE_BY_ONE = 20
"""Messages that are read one by one are so many times as few, or it would take minutes."""


def run(messages: int, sensors: int) -> dict[str, Figures]:
    """Processor time for a million messages of each kind, in seconds."""
    kinds: dict[str, tuple[int, Callable[[dict[str, Any]], None]]] = {
        "ordinary": (messages, lambda _: None),
        "with index, name and second laser": (messages, _as_api),
        "with nan for a temperature: one by one": (messages // _ONE_BY_ONE, _without_temperature),
    }
    return {name: {"seconds": _seconds(count, sensors, change)} for name, (count, change) in kinds.items()}


def ways_to_read(messages: int, sensors: int) -> dict[str, Figures]:
    """Processor time for the values of a million ordinary messages, by the scanner and by JSON libraries, in s."""
    # Not imported above: only this table needs the libraries.
    from benchmarks.json_libraries import seconds

    batches = [*_batches(generator.messages(messages, sensors), lambda _: None)]
    return {name: {"seconds": figure} for name, figure in seconds(batches).items()}


def _seconds(count: int, sensors: int, change: Callable[[dict[str, Any]], None]) -> float:
    batches = [*_batches(generator.messages(count, sensors), change)]
    now = utc_now()
    decode(batches[0], now, timedelta())
    started = time.process_time()
    readings = sum(decode(batch, now, timedelta()).readings.num_rows for batch in batches)
    elapsed = time.process_time() - started
    if readings != count:
        raise RuntimeError(f"{readings} of {count} messages were readings")
    return elapsed * 1e6 / count


def _as_api(value: dict[str, Any]) -> None:
    second = {"PM2.5_CF1_B_ug/m3": value["PM2.5_CF1_ug/m3"]}
    value.update(second, sensor_index=30001, sensor_name="Alder Creek", location_type=0)


def _without_temperature(value: dict[str, Any]) -> None:
    value["Temperature_F"] = "nan"


def _batches(messages: Iterable[Message], change: Callable[[dict[str, Any]], None]) -> Iterator[pa.Table]:
    rows, offset = iter(messages), 0
    while batch := [*islice(rows, BATCH_MESSAGES)]:
        values = [json.loads(message.value) for message in batch]
        for value in values:
            change(value)
        columns = [
            pa.array([0] * len(batch), pa.int32()),
            pa.array(range(offset, offset + len(batch)), pa.int64()),
            pa.array([message.key for message in batch], pa.binary()),
            pa.array([json.dumps(value).encode() for value in values], pa.binary()),
        ]
        yield pa.Table.from_arrays(columns, schema=MESSAGES_SCHEMA)
        offset += len(batch)
