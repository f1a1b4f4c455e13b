"""Messages as producers write them, and chunks of them as a pull has them."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from duckdb import DuckDBPyConnection

from aqi_dagster.message_fields import PM25_FIELD
from aqi_dagster.pipeline.decoding.decode import Decoded, decode
from aqi_dagster.pipeline.decoding.definition import TIME_FORMAT
from aqi_dagster.pipeline.readings.insert import Ingested, ingest
from aqi_dagster.pipeline.topic.batches import MESSAGES_SCHEMA


def at(text: str) -> datetime:
    """The moment that an ISO text names, as naive UTC."""
    return datetime.fromisoformat(text)


FIRST_WINDOW = at("2022-07-18")


NOW = at("2022-09-01")
"""The present moment of the tests that need one."""


ALLOWANCE = timedelta(minutes=10)


RawMessage = tuple[bytes | None, bytes | None]
"""Key and value."""


def message(sensor: str, created_at: datetime, pm25: float, **fields: Any) -> RawMessage:
    """A message as producers write it: every value a text; ``fields`` are further ones."""
    value = {"created_at": created_at.strftime(TIME_FORMAT), PM25_FIELD: f"{pm25:.2f}"} | fields
    return json.dumps(sensor).encode(), json.dumps(value).encode()


def chunk(messages: Sequence[RawMessage], partitions: Sequence[int] = (0,), first_offset: int = 0) -> pa.Table:
    """``messages`` as a chunk read from Kafka, dealt out to ``partitions`` in turn."""
    rows = [
        {
            "kafka_partition": partitions[number % len(partitions)],
            "kafka_offset": first_offset + number // len(partitions),
            "key": key,
            "value": value,
        }
        for number, (key, value) in enumerate(messages)
    ]
    return pa.Table.from_pylist(rows, MESSAGES_SCHEMA)


def take_in(
    connection: DuckDBPyConnection, messages: Sequence[RawMessage], first_offset: int = 0, now: datetime = NOW
) -> Ingested:
    """Ingest ``messages`` as one chunk of partition 0 that is pulled at ``now``."""
    return ingest(connection, decode(chunk(messages, first_offset=first_offset), now, ALLOWANCE), 1, now)


def reject(connection: DuckDBPyConnection, messages: Sequence[RawMessage], first_offset: int = 0) -> None:
    """Have ``messages`` be rejected, as by an older definition."""
    taken = chunk(messages, first_offset=first_offset)
    reasons = {"reason": pa.repeat("no reading then", len(taken)), "due_at": pa.nulls(len(taken), pa.timestamp("us"))}
    rejected = pa.table({**{name: taken[name] for name in taken.column_names}, **reasons})
    ingest(connection, Decoded(decode(taken.slice(0, 0), NOW, ALLOWANCE).readings, rejected), 1, NOW)
