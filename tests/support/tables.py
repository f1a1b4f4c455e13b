"""What a connection's tables hold, and undoing what was written to them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from duckdb import DuckDBPyConnection


def rows(connection: DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    """All rows that ``query`` gives."""
    return connection.execute(query).fetchall()


@contextmanager
def undone(connection: DuckDBPyConnection) -> Iterator[None]:
    """Undo at the end what the block writes."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
