"""Replacing the published copy of the store, at a cost that follows what changed and not how much there is.

Readers hold a copy open for as long as they like, so a published file is never written to. But the copy before the
last is mostly out of use, and differs little from the store. It is kept as a spare, and brought up to date block by
block to become the next copy. If somebody still has it open, or there is none, the store is copied as a whole.
"""

import fcntl
import os
import shutil
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

BLOCK_SIZE = 1 << 19
"""Bytes that are compared, and written where they differ: two blocks of DuckDB."""

_COPY_BUFFER = 16 << 20

_THREADS = 2
"""That compare the store with a copy: they are bound by reading, without the interpreter's lock."""

_WHOLE_FILE_FOR_WRITING = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
"""A ``struct flock``."""


@dataclass(frozen=True)
class Publication:
    """How the published copy came about: bytes written out of ``size``."""

    written: int
    size: int


def publish(private: Path, published: Path, spare: Path) -> Publication:
    """Atomically replace ``published`` by a copy of ``private``, which nobody may write to meanwhile.

    ``spare`` is where the copy before goes, in a folder that only the pipeline uses.
    """
    draft = published.with_name(f".{published.name}.draft")
    # What a process that was killed left behind: an unfinished draft, or a spare that is still the published copy.
    draft.unlink(missing_ok=True)
    if spare.exists() and published.exists() and spare.samefile(published):
        spare.unlink()
    size = private.stat().st_size
    written = None
    if spare.exists():
        spare.replace(draft)
        written = _update(private, draft)
    if written is None:
        draft.unlink(missing_ok=True)
        written = _copy(private, draft)
    draft.chmod(0o444)
    # Not every file system has hard links: then every copy is a whole one.
    with suppress(OSError):
        spare.hardlink_to(published)
    draft.replace(published)
    _fsync_folder(published.parent)
    return Publication(written, size)


def _copy(private: Path, draft: Path) -> int:
    with private.open("rb") as source, draft.open("xb") as target:
        shutil.copyfileobj(source, target, _COPY_BUFFER)
        target.flush()
        os.fsync(target.fileno())
        return target.tell()


def _update(private: Path, draft: Path) -> int | None:
    """Make ``draft`` equal to ``private`` and tell how many bytes that took; None if a reader has it open."""
    draft.chmod(0o600)
    with private.open("rb", buffering=0) as source, draft.open("r+b", buffering=0) as target:
        if not _out_of_use(target.fileno()):
            return None
        size = os.fstat(source.fileno()).st_size
        blocks = -(-size // BLOCK_SIZE)
        bounds = [min(size, part * blocks // _THREADS * BLOCK_SIZE) for part in range(_THREADS)] + [size]
        with ThreadPoolExecutor(_THREADS) as threads:
            update = partial(_update_part, source.fileno(), target.fileno())
            written = sum(threads.map(update, bounds[:-1], bounds[1:]))
        target.truncate(size)
        os.fsync(target.fileno())
        return written


def _update_part(source: int, target: int, begin: int, end: int) -> int:
    """Bring ``target`` up to date between ``begin`` and ``end``, block by block; how many bytes that took."""
    written = 0
    wanted, found = bytearray(BLOCK_SIZE), bytearray(BLOCK_SIZE)
    for place in range(begin, end, BLOCK_SIZE):
        count = os.preadv(source, [wanted], place)
        if count < BLOCK_SIZE:
            # The last block.
            wanted, found = wanted[:count], found[:count]
        if os.preadv(target, [found], place) != count or found != wanted:
            written += os.pwrite(target, wanted, place)
    return written


def _out_of_use(descriptor: int) -> bool:
    """Whether nobody has the file open in DuckDB, which locks what it reads; locks it, until it is closed.

    By a lock of the open file and not of the process, which would not see the readers in our own process.
    """
    set_lock = getattr(fcntl, "F_OFD_SETLK", None)
    if set_lock is None:
        return False
    try:
        fcntl.fcntl(descriptor, set_lock, _WHOLE_FILE_FOR_WRITING)
    except OSError:
        return False
    return True


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
