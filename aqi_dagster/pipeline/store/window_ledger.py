"""The ledger of windows: how far each one came in the chain from readings to scores, anomalies and verdicts.

This module alone writes the tables ``windows`` and ``thinned_states``. A window's ``readings`` grow as they arrive.
Scoring notes how many of them it saw (``scored``) and a ``revision``, which grows whenever something differs that later
windows build on. ``selected`` and ``classified`` repeat the revision from which anomalies and verdicts were made, so
what is outdated shows without looking at any reading (:mod:`outdated`).
"""

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.sql import Writer, registered, scalar
from aqi_dagster.windows import WindowRange


@dataclass(frozen=True)
class LedgerRow:
    """What the ledger says of one window; ``scored`` and ``parameters_hash`` are None if it never was scored."""

    readings: int = 0
    scored: int | None = None
    revision: int = 0
    parameters_hash: str | None = None


def ledger_rows(connection: DuckDBPyConnection) -> dict[datetime, LedgerRow]:
    """The whole ledger, by window (start)."""
    rows = connection.execute(
        "SELECT window_start, readings, scored, coalesce(revision, 0), parameters_hash FROM windows"
    ).fetchall()
    return {start: LedgerRow(*row) for start, *row in rows}


def add_readings(writer: Writer, arrived: pa.Table) -> None:
    """Count new readings, repeated ones left out: ``arrived`` has ``window_start`` and how many ``readings`` each."""
    with registered(writer, "arrived", arrived):
        writer.execute(
            """
            MERGE INTO windows
            USING arrived
            ON windows.window_start = arrived.window_start
            WHEN MATCHED THEN UPDATE SET readings = windows.readings + arrived.readings
            WHEN NOT MATCHED THEN INSERT (window_start, readings) VALUES (arrived.window_start, arrived.readings)
            """
        )


def record_scores(writer: Writer, scored: pa.Table, parameters_hash: str) -> None:
    """Record that windows were scored by detectors with the parameters of that hash.

    ``scored`` has a row a window: ``window_start``, its number of ``readings`` and its new ``revision``.
    """
    with registered(writer, "scored_windows", scored):
        writer.execute(
            """
            MERGE INTO windows
            USING scored_windows AS scored
            ON windows.window_start = scored.window_start
            WHEN MATCHED THEN UPDATE SET
                scored = scored.readings, revision = scored.revision, parameters_hash = $parameters_hash
            WHEN NOT MATCHED THEN INSERT (window_start, readings, scored, revision, parameters_hash)
                VALUES (scored.window_start, scored.readings, scored.readings, scored.revision, $parameters_hash)
            """,
            {"parameters_hash": parameters_hash},
        )


def record_selection(writer: Writer, windows: WindowRange) -> None:
    """Record that the anomalies of ``windows`` were selected from their present scores."""
    writer.execute("UPDATE windows SET selected = revision WHERE window_start BETWEEN $first AND $last", windows.bounds)


def record_verdicts(writer: Writer, windows: WindowRange) -> None:
    """Record that the verdicts of ``windows`` were reached from their present anomalies."""
    writer.execute(
        "UPDATE windows SET classified = selected WHERE window_start BETWEEN $first AND $last", windows.bounds
    )


def newest_scored(connection: DuckDBPyConnection) -> datetime | None:
    """Start of the newest window that was ever scored, or None."""
    newest: datetime | None = scalar(connection, "SELECT max(window_start) FROM windows WHERE scored IS NOT NULL")
    return newest


def newest_window(connection: DuckDBPyConnection, requested: datetime) -> datetime:
    """The newest window that was ever scored, or ``requested`` if that is newer.

    A backfill of old windows is no reason to judge what sensors did then.
    """
    return max(requested, newest_scored(connection) or requested)


def record_thinning(writer: Writer, before: datetime) -> None:
    """Record that of the weeks that ended by ``before`` not all detector states are kept any more."""
    earlier = thinned_before(writer)
    writer.execute("DELETE FROM thinned_states")
    writer.execute("INSERT INTO thinned_states VALUES (greatest(?, ?))", [before, earlier])


def thinned_before(connection: DuckDBPyConnection) -> datetime | None:
    """End of the weeks whose detector states were thinned out, or None."""
    before: datetime | None = scalar(connection, "SELECT max(thinned_before) FROM thinned_states")
    return before
