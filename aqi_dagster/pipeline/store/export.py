"""Files for other programs, written by DuckDB's own COPY: tables as Parquet, or all of a store as one DuckDB file."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from aqi_dagster.errors import ExportError
from aqi_dagster.pipeline.store.connections import STORAGE_VERSION, Store
from aqi_dagster.pipeline.store.file_faults import log_of
from aqi_dagster.pipeline.store.sql import scalar
from aqi_dagster.windows import WindowRange

_RELATIONS = """
SELECT table_name, max((column_name = 'window_start')::INTEGER)
FROM duckdb_columns()
WHERE NOT internal AND database_name = current_database()
GROUP BY table_name
"""


def export_tables(
    connection: DuckDBPyConnection, tables: Iterable[str], folder: Path, windows: WindowRange | None = None
) -> dict[Path, int]:
    """Write each of ``tables`` (views count) to ``folder`` as ``TABLE.parquet``; returns each file with its rows.

    ``windows`` leaves out the rows of other windows. Raises :class:`ExportError` if there is no such table, if it has
    no windows to choose from, or if a file is there already or cannot be written; files that were written stay.
    """
    relations = dict(connection.execute(_RELATIONS).fetchall())
    tables = list(dict.fromkeys(tables))
    for table in tables:
        if table not in relations:
            raise ExportError(f"There is no table {table!r}. There are: {', '.join(sorted(relations))}.")
        if windows is not None and not relations[table]:
            raise ExportError(f"The table {table} has no column window_start: export it without --from and --to.")
    written = {}
    for table in tables:
        with _draft(folder / f"{table}.parquet") as draft:
            # The name is one of the catalog's; values are bound.
            source = f'FROM "{table}"'
            if windows is not None:
                source += " WHERE window_start BETWEEN $first AND $last"
            parameters = {"file": str(draft), **(windows.bounds if windows is not None else {})}
            copy = f"COPY ({source}) TO $file (FORMAT parquet, COMPRESSION zstd)"
            written[folder / f"{table}.parquet"] = int(scalar(connection, copy, parameters))
    return written


def export_database(store: Store, file: Path) -> None:
    """Write all tables and views of the published copy to the new DuckDB file ``file``, which DuckDB 1.5 opens, too.

    Raises :class:`ExportError` if it is there already or cannot be written, and what :meth:`Store.reader` raises.
    """
    with store.reader():
        # So a copy that cannot be read is told as everywhere. A connection to it alone may not write another file.
        pass
    with _draft(file) as draft, duckdb.connect() as connection:
        connection.execute(f"ATTACH '{_quoted(store.published)}' AS published (READ_ONLY)")
        connection.execute(f"ATTACH '{_quoted(draft)}' AS exported (STORAGE_VERSION '{STORAGE_VERSION}')")
        connection.execute("COPY FROM DATABASE published TO exported")
        # Detaching alone would say nothing of a disk that is full.
        connection.execute("CHECKPOINT exported")
        connection.execute("DETACH exported")


@contextmanager
def _draft(file: Path) -> Iterator[Path]:
    """A name beside ``file``, under which it is written; it gets its own name once it is whole."""
    if file.exists():
        raise ExportError(f"{file} is there already: remove it, or name another folder or file.")
    draft = file.with_name(f".{file.name}.draft")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        yield draft
        draft.replace(file)
    except (OSError, duckdb.IOException, duckdb.OutOfMemoryException) as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
            log_of(draft).unlink(missing_ok=True)
        raise ExportError(f"{file} cannot be written: {error}.") from error


def _quoted(path: Path) -> str:
    """``path`` in a statement that takes no parameters."""
    return str(path).replace("'", "''")
