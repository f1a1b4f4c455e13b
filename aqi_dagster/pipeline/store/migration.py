"""Making the tables of a new store, and bringing those of an older release to the schema of this one.

``schema.sql`` and ``views.sql`` alone define the schema. A store of any older version is compared with it table by
table. A table that only lacks columns at its end gets them; one that differs otherwise is created anew and filled from
the old one, because DuckDB 2.0 can neither drop a CHECK nor change the type of a column that has one. Then the files in
``migrations/`` fill the new columns, version by version.
"""

import re
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import duckdb
from duckdb import DuckDBPyConnection

from aqi_dagster.errors import StoreError
from aqi_dagster.pipeline.store.sql import Writer, run_script, scalar, transaction

SCHEMA_VERSION = 12

_OLDEST = 1
"""Oldest version that can be brought up to date."""

_MIGRATIONS = f"{__package__}.migrations"

_CREATED = re.compile(r"^CREATE (TABLE|VIEW|SEQUENCE) (\w+)", re.MULTILINE)

_COLUMNS = """
SELECT column_name, data_type, is_nullable, column_default
FROM duckdb_columns()
WHERE table_name = ? AND NOT internal
ORDER BY column_index
"""

_CONSTRAINTS = """
SELECT constraint_text
FROM duckdb_constraints()
WHERE table_name = ?
ORDER BY constraint_index
"""


class _Column(NamedTuple):
    name: str
    type: str
    nullable: bool
    default: str | None


class _Structure(NamedTuple):
    columns: list[_Column]
    constraints: list[str]


def migrate(writer: Writer, path: Path) -> None:
    """Make the tables if there are none, or bring them to :data:`SCHEMA_VERSION`, in one transaction.

    Raises :class:`StoreError`, and changes nothing, if ``path`` was written by a newer release.
    """
    version = schema_version(writer)
    if version == 0:
        with transaction(writer):
            run_script(writer, __package__, "schema.sql")
            run_script(writer, __package__, "views.sql")
    elif _OLDEST <= version < SCHEMA_VERSION:
        with transaction(writer):
            _rebuild(writer, version)
        # The log of a writer that dies is replayed statement by statement; a migration shall not depend on that.
        writer.execute("CHECKPOINT")
    require_version(writer, path)


def schema_version(connection: DuckDBPyConnection) -> int:
    """Version of the schema behind ``connection``; 0 where there are no tables."""
    # Asking DuckDB's catalog first would take ten times as long on a new connection.
    try:
        version: int = scalar(connection, "SELECT version FROM schema_version")
    except duckdb.CatalogException:
        return 0
    return version


def require_version(connection: DuckDBPyConnection, path: Path) -> None:
    """Raise :class:`StoreError` unless the schema has the version of this release."""
    version = schema_version(connection)
    if _OLDEST <= version < SCHEMA_VERSION:
        raise StoreError(
            f"The store {path} is of an older release, with schema version {version}; the next run brings it to "
            f"{SCHEMA_VERSION}: materialize a window."
        )
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"The store {path} has schema version {version or 'none'}; this release knows {SCHEMA_VERSION}. Install "
            "the release that wrote it, or set AQI_DATA_DIR to an empty folder and materialize again."
        )


def _rebuild(writer: Writer, version: int) -> None:
    """Bring the tables of an older ``version`` to the present schema; a transaction is open."""
    for (view,) in writer.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall():
        writer.execute(f'DROP VIEW "{view}"')
    existing = {name for (name,) in writer.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    sequences = {name for (name,) in writer.execute("SELECT sequence_name FROM duckdb_sequences()").fetchall()}
    with duckdb.connect() as fresh:
        run_script(fresh, __package__, "schema.sql")
        for kind, name, statement in _definitions():
            if kind == "TABLE" and name in existing:
                _bring_to(writer, name, statement, _structure(fresh, name))
            elif not (kind == "SEQUENCE" and name in sequences):
                # Comments, views, and what older releases did not have.
                writer.execute(statement)
    writer.execute("UPDATE schema_version SET version = ?", [SCHEMA_VERSION])
    for step in range(version + 1, SCHEMA_VERSION + 1):
        name = f"to_{step}.sql"
        if resources.files(_MIGRATIONS).joinpath(name).is_file():
            run_script(writer, _MIGRATIONS, name)


def _definitions() -> list[tuple[str, str, str]]:
    """The statements of the schema, in order: the kind and name that each creates (empty if none), and its text."""
    definitions = []
    with duckdb.connect() as parser:
        for script in ("schema.sql", "views.sql"):
            text = resources.files(__package__).joinpath(script).read_text("utf-8")
            for statement in parser.extract_statements(text):
                created = _CREATED.search(statement.query)
                kind, name = created.groups() if created else ("", "")
                if not statement.query.lstrip().startswith("INSERT INTO schema_version"):
                    definitions.append((kind, name, statement.query))
    return definitions


def _bring_to(writer: Writer, table: str, create: str, target: _Structure) -> None:
    """Bring an existing ``table`` to the structure ``target``, which the statement ``create`` makes."""
    present = _structure(writer, table)
    count = len(present.columns)
    new_columns = target.columns[count:]
    only_lacks_some = present.columns == target.columns[:count] and present.constraints == target.constraints
    if only_lacks_some and all(column.nullable and column.default is None for column in new_columns):
        for column in new_columns:
            writer.execute(f'ALTER TABLE "{table}" ADD COLUMN "{column.name}" {column.type}')
        return
    names = {column.name for column in target.columns}
    shared = ", ".join(f'"{column.name}"' for column in present.columns if column.name in names)
    writer.execute(f'ALTER TABLE "{table}" RENAME TO "{table}_before"')
    writer.execute(create)
    writer.execute(f'INSERT INTO "{table}" BY NAME SELECT {shared} FROM "{table}_before"')  # noqa: S608 (names of tables)
    writer.execute(f'DROP TABLE "{table}_before"')


def _structure(connection: DuckDBPyConnection, table: str) -> _Structure:
    columns = [_Column(*row) for row in connection.execute(_COLUMNS, [table]).fetchall()]
    constraints = [text for (text,) in connection.execute(_CONSTRAINTS, [table]).fetchall()]
    return _Structure(columns, constraints)
