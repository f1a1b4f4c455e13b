"""Replacing the published copy of the store, at a cost that grows with the changes and not with the store.

Readers hold a copy open for as long as they like, so a published file is never written to. But hardly anybody still
reads the copy before the last, and it differs little from the store. It becomes a spare, and then the next copy once
its outdated blocks are overwritten. If somebody has it open, or there is none, the whole store is copied.
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
"""Bytes that are compared, and written if they differ, at once: two blocks of DuckDB."""

_COPY_BUFFER = 16 << 20

_THREADS = 2
"""Threads that compare the store with a copy: reading, which limits them, releases the interpreter's lock."""

_WHOLE_FILE_FOR_WRITING = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
"""A ``struct flock``."""


@dataclass(frozen=True)
class Publication:
    """The cost of a published copy: the bytes ``written`` for it, out of its ``size``."""

    written: int
    size: int


def publish(private: Path, published: Path, spare: Path) -> Publication:
    """Atomically replace ``published`` by a copy of ``private``, which nobody may write to meanwhile.

    ``spare`` names the file that keeps the previous copy, in a folder that only the pipeline uses.
    """
    draft = published.with_name(f".{published.name}.draft")
    # A process that was killed leaves an unfinished draft, or a spare that still is the published copy.
    draft.unlink(missing_ok=True)
    if spare.exists() and published.exists() and spare.samefile(published):
        spare.unlink()
    size = private.stat().st_size
    try:
        written = _make_draft(private, draft, spare)
    except OSError:
        # On a full disk it would stand in the way of the next run.
        draft.unlink(missing_ok=True)
        raise
    draft.chmod(0o444)
    # Not every file system has hard links: then every copy is a whole one.
    with suppress(OSError):
        spare.hardlink_to(published)
    draft.replace(published)
    _fsync_folder(published.parent)
    return Publication(written, size)


def _make_draft(private: Path, draft: Path, spare: Path) -> int:
    """Make ``draft`` equal to ``private``, out of ``spare`` if nobody has that open; how many bytes were written."""
    written = None
    if spare.exists():
        spare.replace(draft)
        written = _update(private, draft)
    if written is None:
        draft.unlink(missing_ok=True)
        written = _copy(private, draft)
    return written


def _copy(private: Path, draft: Path) -> int:
    with private.open("rb") as source, draft.open("xb") as target:
        shutil.copyfileobj(source, target, _COPY_BUFFER)
        target.flush()
        os.fsync(target.fileno())
        return target.tell()


def _update(private: Path, draft: Path) -> int | None:
    """Make ``draft`` equal to ``private``; returns the bytes written, or None if a reader has it open."""
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
    """Make ``target`` equal to ``source`` from ``begin`` to ``end``, block by block; returns the bytes written."""
    written = 0
    block, old_block = bytearray(BLOCK_SIZE), bytearray(BLOCK_SIZE)
    for place in range(begin, end, BLOCK_SIZE):
        count = os.preadv(source, [block], place)
        if count < BLOCK_SIZE:
            # The last block.
            block, old_block = block[:count], old_block[:count]
        if os.preadv(target, [old_block], place) != count or old_block != block:
            written += os.pwrite(target, block, place)
    return written


def _out_of_use(descriptor: int) -> bool:
    """Lock the file until it is closed; returns False if somebody has it open in DuckDB, which locks what it reads.

    The lock belongs to the open file: one of the process would not conflict with readers in our own process.
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
