"""How many transactions processes commit to a SQLite file, counted in its write-ahead log."""

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

HEADER, FRAME = 32, 24


def commits(file: Path) -> int:
    """Transactions in the write-ahead log of ``file``; the frame that ends one says how large the file then is."""
    log = file.with_name(f"{file.name}-wal").read_bytes()
    if not log:
        return 0
    (page_size,) = struct.unpack_from(">I", log, 8)
    salts = log[16:24]
    frames = range(HEADER, len(log) - FRAME + 1, FRAME + page_size)
    return sum(log[frame + 8 : frame + 16] == salts and log[frame + 4 : frame + 8] != bytes(4) for frame in frames)


@contextmanager
def log_kept(file: Path) -> Iterator[None]:
    """Have a reader at work in ``file``, so that its write-ahead log only grows."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        yield
