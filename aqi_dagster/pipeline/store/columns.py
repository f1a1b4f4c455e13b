"""The columns of the stored tables, as ``schema.sql`` defines and comments them."""

from collections import defaultdict
from dataclasses import dataclass
from functools import cache

import duckdb

from aqi_dagster.pipeline.store.sql import run_script

_COLUMNS = """
SELECT table_name, column_name, data_type, is_nullable, coalesce(duckdb_columns.comment, '')
FROM duckdb_columns() SEMI JOIN duckdb_tables() USING (table_oid)
ORDER BY table_oid, column_index
"""


@dataclass(frozen=True)
class Column:
    """A column: DuckDB's type, whether it may be NULL, and its meaning with unit."""

    name: str
    type: str
    nullable: bool
    comment: str


@cache
def stored_columns() -> dict[str, list[Column]]:
    """The columns of each table, in order, by the table's name; views are left out."""
    tables = defaultdict(list)
    with duckdb.connect() as connection:
        run_script(connection, __package__, "schema.sql")
        for table, *column in connection.execute(_COLUMNS).fetchall():
            tables[table].append(Column(*column))
    return dict(tables)
