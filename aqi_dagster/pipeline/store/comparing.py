"""Whether the published copy holds what the store holds."""

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.columns import stored_columns
from aqi_dagster.pipeline.store.sql import scalar
from aqi_dagster.windows import WindowRange


def differences(store: DuckDBPyConnection, copy: DuckDBPyConnection, windows: WindowRange) -> list[str]:
    """Each table that is not the same in both, and how it differs.

    Compared are the rows of every table by number, and their values by a hash: in tables by window those of
    ``windows``, so that years of history cost nothing, else all. Blobs are left out.
    """
    found = []
    for table in stored_columns():
        here, there = (_rows_and_hash(connection, table, windows) for connection in (store, copy))
        if here[0] != there[0]:
            found.append(f"{table} has {here[0]} rows in the store and {there[0]} in the copy")
        elif here != there:
            found.append(f"{table} has as many rows in both, but not the same ones")
    return found


def _rows_and_hash(connection: DuckDBPyConnection, table: str, windows: WindowRange) -> tuple[int, int | None]:
    # Names of the schema, no values: nothing else gets into these statements.
    columns = [column.name for column in stored_columns()[table] if column.type != "BLOB"]
    hashes = f"SELECT sum(hash({', '.join(columns)})) FROM {table}"  # noqa: S608
    span = None
    if "window_start" in columns:
        hashes += " WHERE window_start BETWEEN $first AND $last"
        span = windows.bounds
    rows = scalar(connection, f"SELECT count(*) FROM {table}")  # noqa: S608
    return rows, scalar(connection, hashes, span)
