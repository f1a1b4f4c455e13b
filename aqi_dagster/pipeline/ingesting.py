"""Into the store: the readings and rejected messages of a chunk.

:func:`ingest` writes into an open transaction, so that the rows of a chunk and its offsets stand or fall together.
"""

from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.database import registered, run_script, scalar
from aqi_dagster.pipeline.decoding import Decoded


@dataclass(frozen=True)
class Ingested:
    """What became of a chunk: messages accepted (repeated readings among them) and rejected."""

    accepted: int
    repeated: int
    rejected: int


def ingest(connection: DuckDBPyConnection, decoded: Decoded, generation: int, now: datetime) -> Ingested:
    """Append what was ``decoded`` to ``readings`` and ``rejected_messages``.

    ``generation`` tells which making of the topic it is from; ``now`` is naive UTC.
    """
    with registered(connection, "decoded", decoded.readings), registered(connection, "rejected", decoded.rejected):
        run_script(connection, "append.sql", generation=generation, now=now)
    repeated = scalar(connection, "SELECT count(*) FROM repeats")
    return Ingested(decoded.readings.num_rows, repeated, decoded.rejected.num_rows)
