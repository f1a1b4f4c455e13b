"""What a connection's tables hold."""

from typing import Any

from duckdb import DuckDBPyConnection


def rows(connection: DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    """All rows that ``query`` gives."""
    return connection.execute(query).fetchall()
