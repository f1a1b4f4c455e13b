"""Comparing the published copy with the private store."""

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.columns import stored_columns
from aqi_dagster.pipeline.store.sql import scalar
from aqi_dagster.windows import WindowRange


def differences(store: DuckDBPyConnection, copy: DuckDBPyConnection, windows: WindowRange) -> list[str]:
    """A sentence for each table that differs between the two, in its number of rows or in a hash of their values.

    Of a table with ``window_start`` only the values of ``windows`` are hashed, so that years of history cost nothing.
    Blobs are left out.
    """
    sentences = []
    for table in stored_columns():
        here, there = (_rows_and_hash(connection, table, windows) for connection in (store, copy))
        if here[0] != there[0]:
            sentences.append(f"{table} has {here[0]} rows in the store and {there[0]} in the copy")
        elif here != there:
            sentences.append(f"{table} has as many rows in both, but not the same ones")
    return sentences


def _rows_and_hash(connection: DuckDBPyConnection, table: str, windows: WindowRange) -> tuple[int, int | None]:
    # These statements hold names of the schema alone, no values.
    columns = [column.name for column in stored_columns()[table] if column.type != "BLOB"]
    hashes = f"SELECT sum(hash({', '.join(columns)})) FROM {table}"  # noqa: S608
    bounds = None
    if "window_start" in columns:
        hashes += " WHERE window_start BETWEEN $first AND $last"
        bounds = windows.bounds
    rows = scalar(connection, f"SELECT count(*) FROM {table}")  # noqa: S608
    return rows, scalar(connection, hashes, bounds)
