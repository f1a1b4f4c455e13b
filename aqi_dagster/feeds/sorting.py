"""Messages in order of time, in memory that does not grow with their number.

What does not fit a piece is sorted piece by piece, kept in files of a temporary folder, and merged while it is read.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from aqi_dagster.errors import InputFileError
from aqi_dagster.feeds.checking import CHECKED_SCHEMA

PIECE_BYTES = 32 << 20
"""Messages that are sorted together in memory."""

BATCH_ROWS = 4_096
"""Messages of a piece that are read together."""

_PACKED = pa.ipc.IpcWriteOptions(compression="zstd")


class SortedMessages:
    """Messages (:data:`checking.CHECKED_SCHEMA`), to be added in any order and read in order of time.

    Those of one time keep the order in which they were added. It holds a temporary folder until it is closed.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._folder: Path | None = None
        self._pieces: list[Path] = []
        self._rest: list[pa.Table] = []
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def add(self, messages: pa.Table) -> None:
        """Take in ``messages``. Raises ``InputFileError`` if the temporary folder has no room for them."""
        self._rest.append(messages)
        self._bytes += messages.nbytes
        if self._bytes >= PIECE_BYTES:
            self._keep()

    def read(self) -> Iterator[pa.Table]:
        """All messages in order of time; no time is in two of the tables. May be called again."""
        with ExitStack() as stack:
            pieces = [_batches(stack, path) for path in self._pieces]
            yield from _merged([*pieces, iter(self._sorted_rest().to_batches(BATCH_ROWS))])

    def _sorted_rest(self) -> pa.Table:
        together = pa.concat_tables(self._rest or [CHECKED_SCHEMA.empty_table()]).combine_chunks()
        order = np.argsort(together["time"].to_numpy(), kind="stable")
        return together.take(pa.array(order))

    def _keep(self) -> None:
        """Sort what there is, and put it into a file."""
        if self._folder is None:
            folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="aqi-dagster-"))
            self._folder = Path(folder)
        path = self._folder / f"{len(self._pieces)}.arrow"
        try:
            with pa.ipc.new_file(str(path), CHECKED_SCHEMA, options=_PACKED) as file:
                file.write_table(self._sorted_rest(), BATCH_ROWS)
        except OSError as error:
            raise InputFileError(
                f"The messages cannot be sorted: {error}. The folder {self._folder.parent} needs about half as much "
                "room as the files, unpacked; TMPDIR names another one."
            ) from error
        self._pieces.append(path)
        self._rest, self._bytes = [], 0


def _batches(stack: ExitStack, path: Path) -> Iterator[pa.RecordBatch]:
    file = pa.ipc.open_file(stack.enter_context(pa.OSFile(str(path))))
    return (file.get_batch(number) for number in range(file.num_record_batches))


def _merged(pieces: Iterable[Iterator[pa.RecordBatch]]) -> Iterator[pa.Table]:
    """What all of ``pieces`` hold, each of which is in order of time."""
    open_ones = [_Piece(piece) for piece in pieces]
    while open_ones := [piece for piece in open_ones if piece.rows is not None]:
        # Beyond it there may be more of the same time, in the piece that it is the last of.
        until = min(piece.last for piece in open_ones)
        parts = [part for piece in open_ones if len(part := piece.take_before(until))]
        if parts:
            together = pa.concat_tables(parts).combine_chunks()
            yield together.take(pa.array(np.argsort(together["time"].to_numpy(), kind="stable")))


class _Piece:
    """A piece that is being read; ``rows`` are those that come next, or None at its end."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self.rows: pa.Table | None = CHECKED_SCHEMA.empty_table()
        self._times = np.empty(0, np.int64)
        self._read_on()

    @property
    def last(self) -> int:
        """The last time of the rows that are there; the greatest there is if no others follow."""
        return np.iinfo(np.int64).max if self._ended else int(self._times[-1])

    def take_before(self, until: int) -> pa.Table:
        """The rows before the time ``until``, which are then read; at the end of all pieces, all of them."""
        assert self.rows is not None  # noqa: S101 (for mypy)
        count = len(self._times) if until == np.iinfo(np.int64).max else int(np.searchsorted(self._times, until))
        taken = self.rows.slice(0, count)
        self.rows, self._times = self.rows.slice(count), self._times[count:]
        if not self._ended and (not len(self._times) or self.last == until):
            self._read_on()
        if self._ended and not len(self._times):
            self.rows = None
        return taken

    def _read_on(self) -> None:
        batch = next(self._batches, None)
        self._ended = batch is None
        if batch is not None and self.rows is not None:
            self.rows = pa.concat_tables([self.rows, pa.Table.from_batches([batch])])
            self._times = self.rows["time"].to_numpy()
