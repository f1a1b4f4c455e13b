"""Which blocks of the store may differ from its copies, so that a small change is published without comparing all.

A session that is tracked has DuckDB log what it writes to the store's file, and notes the blocks for each copy. The
notes hold for one state of the store and for copies that nobody touched since; with any other there are none, and the
whole of it is compared. So what is not tracked, or dies, costs time and nothing else. A run compares all in any case.
"""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from duckdb import DuckDBPyConnection

BLOCK_SIZE = 1 << 19
"""Bytes that are compared, and written if they differ, at once: two blocks of DuckDB."""

HEADERS_BYTES = 12_288
"""Size of the headers of a DuckDB file, which may be all that it holds."""

_WRITES = """
SELECT (message ->> 'pos')::BIGINT, (message ->> 'bytes')::BIGINT
FROM duckdb_logs
WHERE type = 'FileSystem' AND message ->> 'op' = 'WRITE' AND message ->> 'path' = ?
"""

Copies = dict[str, set[int]]
"""The blocks that may differ from the store, by the identity of a copy."""


def identity(copy: Path) -> str:
    """What tells a copy from any other, and from itself once somebody has written to it."""
    found = copy.stat()
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"


def attach_logged(connection: DuckDBPyConnection, private: Path) -> None:
    """Attach the file ``private`` as what ``connection`` works on, and have all that is written to it logged."""
    connection.execute("CALL enable_logging('FileSystem')")
    name = str(private).replace("'", "''")
    connection.execute(f"ATTACH '{name}' AS store")
    connection.execute("USE store")


def logged_blocks(connection: DuckDBPyConnection, private: Path) -> set[int]:
    """The blocks of ``private`` that ``connection`` has written since it was attached."""
    writes = connection.execute(_WRITES, [str(private)]).fetchall()
    return {block for pos, size in writes for block in range(pos // BLOCK_SIZE, -(-(pos + size) // BLOCK_SIZE))}


class Notes:
    """The notes on the copies of ``private``, in a file beside it."""

    def __init__(self, private: Path) -> None:
        self._private = private
        self._path = private.with_name("written.json")

    def read(self) -> Copies:
        """What is known of copies of the store as it is now; nothing if it was written to by others."""
        try:
            notes = json.loads(self._path.read_text())
            copies = {str(copy): set(blocks) for copy, blocks in notes["copies"].items()}
            return copies if notes["store"] == self._state() else {}
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            return {}

    def write(self, copies: Copies) -> None:
        """Note what is known of ``copies`` of the store as it is now; a full disk has all be compared instead."""
        noted = {copy: sorted(blocks) for copy, blocks in copies.items()}
        with suppress(OSError):
            self._path.write_text(json.dumps({"store": self._state(), "copies": noted}))

    def forget(self) -> None:
        """Before the store is written to: whatever becomes of it, nothing is known of copies then."""
        self._path.unlink(missing_ok=True)

    def _state(self) -> str:
        """The file and the headers of the store, which each checkpoint changes."""
        with self._private.open("rb") as file:
            headers = hashlib.sha256(file.read(HEADERS_BYTES)).hexdigest()
        return f"{identity(self._private)} {headers}"
