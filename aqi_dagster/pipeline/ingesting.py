"""Into the store: the readings and rejected messages of a chunk.

:func:`ingest` writes into an open transaction, so that the rows of a chunk and its offsets stand or fall together.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.database import registered, run_script, scalar
from aqi_dagster.pipeline.decoding import decode


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
    decoded = decode(messages, now, future_allowance)
    with registered(connection, "decoded", decoded.readings), registered(connection, "rejected", decoded.rejected):
        run_script(connection, "append.sql", generation=generation, now=now)
    repeated = scalar(connection, "SELECT count(*) FROM repeats")
    return Ingested(decoded.readings.num_rows, repeated, decoded.rejected.num_rows)
