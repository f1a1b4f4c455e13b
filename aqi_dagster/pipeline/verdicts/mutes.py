"""Regions of which smoke is not told for a while: prescribed burns, fireworks. This alone writes the table ``mutes``.

Of a region the last record holds. What is not told is recorded all the same.
"""

from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.sql import Writer

_MUTED = """
SELECT region, arg_max(until, rowid) AS until
FROM mutes
GROUP BY region
HAVING arg_max(until, rowid) > ?
ORDER BY region
"""


@dataclass(frozen=True)
class Mute:
    """Nothing is told of smoke in ``region`` from ``muted_at`` until ``until``, both naive UTC, and why."""

    region: str
    muted_at: datetime
    until: datetime
    reason: str


def record_mute(writer: Writer, mute: Mute) -> None:
    """Add a record; one whose end is not after its beginning ends what held before."""
    writer.execute(
        "INSERT INTO mutes BY NAME SELECT $region AS region, $muted_at AS muted_at, $until AS until, $reason AS reason",
        vars(mute),
    )


def muted_regions(connection: DuckDBPyConnection, now: datetime) -> dict[str, datetime]:
    """The regions that are muted at ``now`` (naive UTC), and until when."""
    return dict(connection.execute(_MUTED, [now]).fetchall())
