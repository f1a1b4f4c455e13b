"""The stores and the DAGSTER_HOME that older releases left, unpacked, and what is to be found in a store."""

import gzip
import re
import tarfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.connections import Store
from tests.support.places import TOP
from tests.support.tables import rows

STORES = sorted((TOP / "tests" / "store" / "released").glob("*.duckdb.gz"))

HOME = TOP / "tests" / "instance" / "released" / "home_f783f78.tar.xz"

KEPT = [
    "readings",
    "rejected_messages",
    "kafka_offsets",
    "pulled_offsets",
    "offset_gaps",
    "scored_readings",
    "windows",
    "thinned_states",
    "anomalies",
    "regional_windows",
    "sensor_regions",
    "slack_alerts",
]
"""Tables whose rows must still be there after a migration, where a release had them."""

DESCRIPTIONS = {
    "tables": """
        SELECT table_name, temporary, has_primary_key, check_constraint_count, index_count, comment, sql
        FROM duckdb_tables() WHERE NOT internal ORDER BY table_name
    """,
    "columns": """
        SELECT table_name, column_index, column_name, data_type, is_nullable, column_default, comment
        FROM duckdb_columns() WHERE NOT internal ORDER BY table_name, column_index
    """,
    "views": """
        SELECT view_name, temporary, column_count, comment, sql
        FROM duckdb_views() WHERE NOT internal ORDER BY view_name
    """,
    "constraints": """
        SELECT table_name, constraint_type, constraint_text, expression, constraint_column_names
        FROM duckdb_constraints() ORDER BY ALL
    """,
    "indexes": """
        SELECT table_name, index_name, is_unique, is_primary, expressions, sql FROM duckdb_indexes() ORDER BY ALL
    """,
    "sequences": """
        SELECT sequence_name, temporary, min_value, max_value, increment_by, cycle, comment
        FROM duckdb_sequences() ORDER BY ALL
    """,
}
"""What DuckDB tells of a database's making, by kind of thing."""

_EXCLUDED = re.compile(r"(?<=EXCLUDE \()[^)]*")
"""Columns that a view leaves out: DuckDB names them in another order each time that the file is opened."""


def store_id(packed: Path) -> str:
    """Version and commit of the release that left the store."""
    return packed.name.removesuffix(".duckdb.gz")


def unpack_store(packed: Path, folder: Path) -> Store:
    """A store in ``folder`` with the file that a release left as its private one; nothing is published."""
    store = Store(folder, lock_timeout=30.0)
    store.private.parent.mkdir(parents=True)
    store.private.write_bytes(gzip.decompress(packed.read_bytes()))
    return store


def open_raw(store: Store, read_only: bool = True) -> DuckDBPyConnection:
    """The private file of ``store`` without any migration."""
    return duckdb.connect(str(store.private), read_only)


def unpack_home(folder: Path) -> None:
    """Lay ``dagster``, a DAGSTER_HOME, and ``data``, the folder of its store, into ``folder``."""
    with tarfile.open(HOME) as packed:
        packed.extractall(folder, filter="data")


def description(connection: DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    """The schema as DuckDB tells it: everything but rows."""
    found = {kind: rows(connection, query) for kind, query in DESCRIPTIONS.items()}
    return found | {"views": [(*view, _EXCLUDED.sub(_in_order, sql)) for *view, sql in found["views"]]}


def columns(connection: DuckDBPyConnection, tables: Iterable[str]) -> dict[str, list[str]]:
    """The columns of those of ``tables`` that there are, in order."""
    found = {
        table: rows(connection, f"SELECT name FROM pragma_table_info('{table}')") for table in _present(connection)
    }
    return {table: [name for (name,) in found[table]] for table in tables if table in found}


def kept_columns(connection: DuckDBPyConnection) -> dict[str, list[str]]:
    """The columns, by table, whose values a migration leaves alone."""
    kept = columns(connection, KEPT)
    # Where two spellings of a sensor become one, a reading of each may turn out to be the same.
    kept["readings"].remove("repeated")
    # Then all scores from their first window on are to be made anew.
    if "windows" in kept:
        kept["windows"] = ["window_start"]
    return kept


def contents(connection: DuckDBPyConnection, columns_of: dict[str, list[str]]) -> dict[str, Counter[tuple[Any, ...]]]:
    """The rows of each table in the columns named, however often each, with the white space in sensors evened out."""
    return {
        table: Counter(
            tuple(_spelled(name, value) for name, value in zip(names, row, strict=True))
            for row in rows(connection, f"SELECT {', '.join(names)} FROM {table}")
        )
        for table, names in columns_of.items()
    }


def _present(connection: DuckDBPyConnection) -> list[str]:
    return [name for (name,) in rows(connection, "SELECT table_name FROM duckdb_tables() WHERE NOT internal")]


def _in_order(names: re.Match[str]) -> str:
    return ", ".join(sorted(names[0].split(", ")))


def _spelled(column: str, value: Any) -> Any:
    """``value`` as something to count, as it is but for the names of sensors."""
    if column == "sensor":
        return _even(value)
    if column == "sensors":
        return tuple(sorted({_even(sensor) for sensor in value}))
    return tuple(value) if isinstance(value, list) else value


def _even(sensor: str) -> str:
    return re.sub(r"\s*,\s*", ", ", sensor)
