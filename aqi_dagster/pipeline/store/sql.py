"""Small helpers for a DuckDB connection: the right to write, statement files, transactions, Arrow tables."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from typing import Any, NewType

import duckdb
import pyarrow as pa
from duckdb import DuckDBPyConnection

Writer = NewType("Writer", DuckDBPyConnection)
"""The only open connection to the private store. Only ``Store.exclusive`` makes one; each writing function needs it."""


def run_script(connection: DuckDBPyConnection, package: str, name: str, **parameters: Any) -> None:
    """Run the statements of the file ``name`` of ``package`` in order, each with those ``parameters`` that it names."""
    script = resources.files(package).joinpath(name).read_text("utf-8")
    for statement in connection.extract_statements(script):
        connection.execute(statement, {key: parameters[key] for key in statement.named_parameters})


@contextmanager
def transaction(writer: Writer) -> Iterator[None]:
    """Commit what the block does, or nothing of it if it raises."""
    writer.execute("BEGIN")
    try:
        yield
    except BaseException:
        writer.execute("ROLLBACK")
        raise
    writer.execute("COMMIT")


@contextmanager
def registered(connection: DuckDBPyConnection, name: str, table: pa.Table) -> Iterator[None]:
    """Make ``table`` readable in SQL as ``name`` inside the block."""
    connection.register(name, table)
    try:
        yield
    except BaseException:
        # In a failed transaction unregistering fails too; the rollback does it then.
        with suppress(duckdb.TransactionException):
            connection.unregister(name)
        raise
    connection.unregister(name)


def append(writer: Writer, name: str, rows: pa.Table) -> None:
    """Append ``rows`` to the table ``name``; they have its columns, in its order.

    What was :func:`registered` in a transaction stays in memory until its end. What is appended is let go of at once.
    """
    writer.from_arrow(rows).insert_into(name)


def scalar(connection: DuckDBPyConnection, query: str, parameters: Any = None) -> Any:
    """The single value that ``query`` returns; :class:`LookupError` if it returns no row, or several."""
    # fetchone would leave the result open, and DuckDB registers no table on a connection with an open result.
    rows = connection.execute(query, parameters).fetchall()
    if len(rows) != 1:
        raise LookupError(f"{len(rows)} rows from: {query}")
    return rows[0][0]
