"""The ledger of windows: how far each window came in the chain from readings to scores, anomalies and verdicts.

This module alone writes the tables ``windows`` and ``thinned_states``. A window's ``readings`` grow as they arrive.
Scoring records how many readings it scored (``scored``) and a ``revision``, which grows whenever something changed that
later windows build on. ``selected`` and ``classified`` repeat the revision that anomalies and verdicts come from. Each
step also records its settings. So :mod:`outdated` finds outdated results without looking at any reading.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.sql import Writer, registered, scalar
from aqi_dagster.windows import WindowRange

LOOK_BACK = timedelta(days=21)
"""A change of a window's readings may change the health in windows that start up to so much later."""


@dataclass(frozen=True)
class LedgerRow:
    """One window in the ledger; all but ``readings`` and ``revision`` is None if it was never scored."""

    readings: int = 0
    scored: int | None = None
    revision: int = 0
    parameters_hash: str | None = None
    chain_start: datetime | None = None


def settings_hash(*settings: object, edition: int = 1) -> str:
    """SHA-256, hexadecimal, of settings that JSON can express, and of the ``edition`` of the rules that they are for.

    The first edition adds nothing, since there are ledgers from before rules had editions.
    """
    made_from = settings if edition == 1 else (*settings, {"edition": edition})
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def ledger_rows(connection: DuckDBPyConnection) -> dict[datetime, LedgerRow]:
    """The whole ledger, by window (start)."""
    query = "SELECT window_start, readings, scored, coalesce(revision, 0), parameters_hash, chain_start FROM windows"
    rows = connection.execute(query).fetchall()
    return {start: LedgerRow(*row) for start, *row in rows}


def add_readings(writer: Writer, arrived: pa.Table) -> None:
    """Add new readings, repeated ones left out, to the counts: ``arrived`` has ``window_start`` and ``readings``."""
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

    ``scored`` has a row a window: ``window_start``, its number of ``readings``, its new ``revision``, and the
    ``chain_start``, the first window with readings that the detectors learned.
    """
    with registered(writer, "scored_windows", scored):
        writer.execute(
            """
            MERGE INTO windows
            USING scored_windows AS scored
            ON windows.window_start = scored.window_start
            WHEN MATCHED THEN UPDATE SET
                scored = scored.readings,
                revision = scored.revision,
                parameters_hash = $parameters_hash,
                chain_start = scored.chain_start
            WHEN NOT MATCHED THEN INSERT (window_start, readings, scored, revision, parameters_hash, chain_start)
                VALUES (
                    scored.window_start,
                    scored.readings,
                    scored.readings,
                    scored.revision,
                    $parameters_hash,
                    scored.chain_start
                )
            """,
            {"parameters_hash": parameters_hash},
        )


def forget_scores_before(writer: Writer, first_window: datetime) -> None:
    """Record that windows before ``first_window`` are not scored: their scores, from an earlier chain, were dropped."""
    writer.execute(
        """
        UPDATE windows
        SET
            scored = NULL,
            revision = NULL,
            parameters_hash = NULL,
            selected = NULL,
            classified = NULL,
            chain_start = NULL,
            selection_hash = NULL,
            verdicts_hash = NULL,
            classified_health = NULL
        WHERE window_start < ? AND scored IS NOT NULL
        """,
        [first_window],
    )
    writer.execute("DELETE FROM windows WHERE window_start < ? AND readings = 0", [first_window])


def record_selection(writer: Writer, windows: WindowRange, selection_hash: str) -> None:
    """Record that the anomalies of ``windows`` were selected from their present scores, by those thresholds."""
    writer.execute(
        "UPDATE windows SET selected = revision, selection_hash = $hash WHERE window_start BETWEEN $first AND $last",
        {**windows.bounds, "hash": selection_hash},
    )


def record_verdicts(writer: Writer, windows: WindowRange, verdicts_hash: str) -> None:
    """Record that the verdicts of ``windows`` were reached from their present anomalies, by those settings."""
    writer.execute(
        "UPDATE windows SET classified = selected, classified_health = health_revision, verdicts_hash = $hash "
        "WHERE window_start BETWEEN $first AND $last",
        {**windows.bounds, "hash": verdicts_hash},
    )


def record_health(writer: Writer, judged: pa.Table, regions_hash: str) -> None:
    """Record that the health of sensors was judged, with the regions of that hash.

    ``judged`` has a row a window: ``window_start``, its number of ``readings``, its new ``revision``, and ``since``,
    the earliest window whose readings its health follows from.
    """
    with registered(writer, "judged_windows", judged):
        writer.execute(
            """
            UPDATE windows
            SET
                health_readings = judged.readings,
                health_revision = judged.revision,
                health_hash = $regions_hash,
                health_since = judged.since
            FROM judged_windows AS judged
            WHERE windows.window_start = judged.window_start
            """,
            {"regions_hash": regions_hash},
        )


def forget_health_before(writer: Writer, first_window: datetime) -> None:
    """Record that the health in windows before ``first_window`` is not judged: what there was of it was dropped."""
    writer.execute(
        """
        UPDATE windows
        SET health_readings = NULL, health_revision = NULL, health_hash = NULL, health_since = NULL
        WHERE window_start < ? AND health_readings IS NOT NULL
        """,
        [first_window],
    )


def newest_scored(connection: DuckDBPyConnection) -> datetime | None:
    """Start of the newest window of which readings were scored, or None."""
    newest: datetime | None = scalar(connection, "SELECT max(window_start) FROM windows WHERE scored > 0")
    return newest


def newest_judged(connection: DuckDBPyConnection) -> datetime | None:
    """Start of the newest window in which the health of sensors was judged, or None."""
    newest: datetime | None = scalar(connection, "SELECT max(window_start) FROM windows WHERE health_readings > 0")
    return newest


def newest_window(connection: DuckDBPyConnection, requested: datetime) -> datetime:
    """The newest window of which readings were scored, or ``requested`` if that is newer.

    So a backfill of old windows judges the sensors by the newest window all the same.
    """
    return max(requested, newest_scored(connection) or requested)


def record_thinning(writer: Writer, before: datetime) -> None:
    """Record that the detector states of the weeks that ended by ``before`` were thinned out."""
    earlier = thinned_before(writer)
    writer.execute("DELETE FROM thinned_states")
    writer.execute("INSERT INTO thinned_states BY NAME SELECT greatest(?, ?) AS thinned_before", [before, earlier])


def thinned_before(connection: DuckDBPyConnection) -> datetime | None:
    """End of the weeks whose detector states were thinned out, or None."""
    before: datetime | None = scalar(connection, "SELECT max(thinned_before) FROM thinned_states")
    return before
