"""From raw messages to rows: each message of a chunk becomes one reading or one rejected message.

:func:`ingest` writes into an open transaction, so that the rows of a chunk and its offsets stand or fall together.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.database import registered, run_script, scalar
from aqi_dagster.pipeline.messages import (
    OPTIONAL_NUMBERS,
    Reading,
    RejectedMessageError,
    decode_key,
    decode_value,
)
from aqi_dagster.windows import WINDOW_LENGTH, window_start

_DECODED_SCHEMA = pa.schema(
    [
        ("sensor", pa.string()),
        ("created_at", pa.timestamp("us")),
        ("window_start", pa.timestamp("us")),
        ("pm25_cf1", pa.float64()),
        *((column, pa.float64()) for column in OPTIONAL_NUMBERS),
        ("entry_id", pa.int64()),
        ("kafka_partition", pa.int32()),
        ("kafka_offset", pa.int64()),
    ]
)

_REJECTED_SCHEMA = pa.schema(
    [
        ("reason", pa.string()),
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("kafka_partition", pa.int32()),
        ("kafka_offset", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Ingested:
    """What became of a chunk: messages accepted (repeated readings among them) and rejected."""

    accepted: int
    repeated: int
    rejected: int


def ingest(
    connection: DuckDBPyConnection,
    messages: pa.Table,
    generation: int,
    now: datetime,
    future_allowance: timedelta,
) -> Ingested:
    """Append ``messages`` (:data:`chunks.CHUNK_SCHEMA`) to ``readings`` and ``rejected_messages``.

    ``generation`` tells which making of the topic they are from; ``now`` is naive UTC; a ``created_at`` beyond
    ``now + future_allowance`` is rejected.
    """
    with registered(connection, "chunk", _with_text(messages)):
        run_script(
            connection,
            "decode.sql",
            newest=now + future_allowance,
            window_hours=WINDOW_LENGTH // timedelta(hours=1),
        )
    rejected = _decode_rest(connection, messages, now, future_allowance)
    run_script(connection, "append.sql", generation=generation, now=now)
    if rejected.num_rows:
        with registered(connection, "rejected", rejected):
            connection.execute(
                "INSERT INTO rejected_messages BY NAME "
                "SELECT *, $generation AS topic_generation, $now AS ingested_at FROM rejected",
                {"generation": generation, "now": now},
            )
    repeated = scalar(connection, "SELECT count(*) FROM repeats")
    return Ingested(messages.num_rows - rejected.num_rows, repeated, rejected.num_rows)


def _with_text(messages: pa.Table) -> pa.Table:
    """The chunk as ``decode.sql`` reads it: the sensor for the key, and the value as text (NULL if it is not UTF-8)."""
    keys = messages["key"].combine_chunks().dictionary_encode()
    sensors = pa.array([_sensor_or_none(key) for key in keys.dictionary.to_pylist()], pa.string())
    return pa.table(
        {
            "kafka_partition": messages["kafka_partition"],
            "kafka_offset": messages["kafka_offset"],
            "sensor": sensors.take(keys.indices),
            "value": _text(messages["value"]),
        }
    )


def _sensor_or_none(key: bytes) -> str | None:
    try:
        return decode_key(key)
    except RejectedMessageError:
        return None


def _text(values: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    try:
        return values.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([_utf8_or_none(value) for value in values.to_pylist()], pa.string())


def _utf8_or_none(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _decode_rest(
    connection: DuckDBPyConnection, messages: pa.Table, now: datetime, future_allowance: timedelta
) -> pa.Table:
    """Decode the messages that ``decode.sql`` left out: adds the readings to ``decoded``, gives the others."""
    if scalar(connection, "SELECT count(*) FROM decoded") == messages.num_rows:
        return _REJECTED_SCHEMA.empty_table()
    with registered(connection, "chunk", messages):
        rest = connection.sql(
            "SELECT key, value, kafka_partition, kafka_offset FROM chunk "
            "ANTI JOIN decoded USING (kafka_partition, kafka_offset) ORDER BY kafka_partition, kafka_offset"
        ).to_arrow_table()
    accepted: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    for message in rest.to_pylist():
        key, value = message["key"], message["value"]
        place = {"kafka_partition": message["kafka_partition"], "kafka_offset": message["kafka_offset"]}
        try:
            accepted.append(_row(decode_key(key), decode_value(value, now, future_allowance)) | place)
        except RejectedMessageError as reason:
            rejected.append({"reason": str(reason), "key": key, "value": value} | place)
    with registered(connection, "accepted", pa.Table.from_pylist(accepted, _DECODED_SCHEMA)):
        connection.execute("INSERT INTO decoded BY NAME SELECT * FROM accepted")
    return pa.Table.from_pylist(rejected, _REJECTED_SCHEMA)


def _row(sensor: str, reading: Reading) -> dict[str, Any]:
    return {
        "sensor": sensor,
        "created_at": reading.created_at,
        "window_start": window_start(reading.created_at),
        "pm25_cf1": reading.pm25_cf1,
        "entry_id": reading.entry_id,
        **reading.optional,
    }
