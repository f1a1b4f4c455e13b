"""Where a text stands in what an installation leaves behind."""

import contextlib
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

import duckdb

from tests.support.slack_server import PATH
from tests.support.tables import rows

TOKEN = PATH.rsplit("/", maxsplit=1)[-1]


def texts(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Everything that the files under ``folder`` hold, by where: bytes as they are, and the values of databases."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        yield path.name, path.read_bytes()
        if path.suffix == ".db":
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
                for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                    for value in (value for row in database.execute(f'SELECT * FROM "{table}"') for value in row):
                        yield f"{path.name} {table}", _unpacked(value)
        elif path.suffix == ".duckdb":
            # Its strings are compressed in ways of its own.
            with duckdb.connect(str(path), read_only=True) as connection:
                for (table,) in rows(connection, "SELECT table_name FROM duckdb_tables()"):
                    yield f"{path.name} {table}", repr(rows(connection, f'FROM "{table}"')).encode()


def _unpacked(value: object) -> bytes:
    """A value of Dagster's own databases, which keep some of theirs compressed."""
    if isinstance(value, bytes):
        with contextlib.suppress(zlib.error):
            return zlib.decompress(value)
        return value
    return str(value).encode()


def places_of(secret: str, folder: Path) -> list[str]:
    """Where under ``folder`` the text ``secret`` stands."""
    return [place for place, text in texts(folder) if secret.encode() in text]
