"""Errors of a store's files and its memory, in words that say what to do."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from aqi_dagster.errors import StoreError

_FULL = (errno.ENOSPC, errno.EDQUOT)

_NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def explain_faults(store: Path, memory_limit: int) -> Iterator[None]:
    """Raise :class:`StoreError` if the block needs more than ``memory_limit`` MB, or may not write, or finds no room.

    Any other error stays what it is.
    """
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise StoreError(
            f"DuckDB needs more than the {memory_limit} MB that it may hold of {store}: {_first_line(error)}. What was "
            "committed before is kept. Set AQI_DUCKDB_MEMORY_MB to more, and run again."
        ) from error
    except (duckdb.Error, OSError) as error:
        folder = store.parent.parent
        if _tells_of(error, _NO_RIGHT) and str(folder) in str(error):
            raise StoreError(
                f"This user may not write everything in {folder}: {_first_line(error)}. What was committed before is "
                "kept. Give the user the right to, or run as the one who owns the folder, and run again."
            ) from error
        if not is_full(error):
            raise
        raise StoreError(
            f"The disk of {store.parent} is full: {_first_line(error)}. What was committed before is kept, and the "
            "published copy is the one before. Make room, about three times the size of the store, and run again."
        ) from error


def is_full(error: Exception) -> bool:
    """Whether the disk is full, or a quota used up."""
    return _tells_of(error, _FULL)


def _tells_of(error: Exception, numbers: tuple[int, ...]) -> bool:
    """Whether ``error`` is one of the system's with one of these ``numbers``; of DuckDB's only the text says so."""
    if isinstance(error, OSError):
        return error.errno in numbers
    return any(os.strerror(number) in str(error) for number in numbers)


def log_of(path: Path) -> Path:
    """DuckDB's write-ahead log of a database file."""
    return path.with_name(f"{path.name}.wal")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
