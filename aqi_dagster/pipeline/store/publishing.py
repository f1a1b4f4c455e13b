"""Replacing the published copy of the store, at a cost that grows with the changes and not with the store.

Readers hold a copy open for as long as they like, so a published file is never written to. But hardly anybody still
reads the copy before the last, and it differs little from the store. It becomes a spare, and then the next copy once
its outdated blocks are overwritten. If somebody has it open, or there is none, the whole store is copied.
"""

import fcntl
import os
import shutil
import struct
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

from aqi_dagster.pipeline.store.written_blocks import BLOCK_SIZE, Notes, identity

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


def publish(private: Path, published: Path, spare: Path, compare_all: bool = True) -> Publication:
    """Atomically replace ``published`` by a copy of ``private``, which nobody may write to meanwhile.

    ``spare`` names the file that keeps the previous copy, in a folder that only the pipeline uses. Unless
    ``compare_all``, only those of its blocks are compared that may differ, if they are known.
    """
    notes = Notes(private)
    known = notes.read()
    draft = published.with_name(f".{published.name}.draft")
    # A process that was killed leaves an unfinished draft, or a spare that still is the published copy.
    draft.unlink(missing_ok=True)
    if spare.exists() and published.exists() and spare.samefile(published):
        spare.unlink()
    size = private.stat().st_size
    try:
        behind = None if compare_all or not spare.exists() else known.get(identity(spare))
        written = _make_draft(private, draft, spare, behind)
    except OSError:
        # On a full disk it would stand in the way of the next run.
        draft.unlink(missing_ok=True)
        raise
    draft.chmod(0o444)
    # Not every file system has hard links: then every copy is a whole one.
    with suppress(OSError):
        spare.hardlink_to(published)
    kept = {identity(published): known[identity(published)]} if spare.exists() and identity(spare) in known else {}
    draft.replace(published)
    _fsync_folder(published.parent)
    notes.write({**kept, identity(published): set()})
    return Publication(written, size)


def _make_draft(private: Path, draft: Path, spare: Path, behind: set[int] | None) -> int:
    """Make ``draft`` equal to ``private``, out of ``spare`` if nobody has that open; how many bytes were written.

    ``behind`` are the blocks of ``spare`` that may differ, None if nobody knows.
    """
    written = None
    if spare.exists():
        spare.replace(draft)
        written = _update(private, draft, behind)
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


def _update(private: Path, draft: Path, behind: set[int] | None) -> int | None:
    """Make ``draft`` equal to ``private``; returns the bytes written, or None if a reader has it open.

    All is compared, or the blocks ``behind``.
    """
    draft.chmod(0o600)
    with private.open("rb", buffering=0) as source, draft.open("r+b", buffering=0) as target:
        if not _out_of_use(target.fileno()):
            return None
        size = os.fstat(source.fileno()).st_size
        blocks = -(-size // BLOCK_SIZE)
        bounds = [part * blocks // _THREADS for part in range(_THREADS + 1)]
        parts = [range(*pair) for pair in pairwise(bounds)] if behind is None else [sorted(behind & {*range(blocks)})]
        with ThreadPoolExecutor(_THREADS) as threads:
            written = sum(threads.map(partial(_update_blocks, source.fileno(), target.fileno(), size), parts))
        target.truncate(size)
        os.fsync(target.fileno())
        return written


def _update_blocks(source: int, target: int, size: int, blocks: Iterable[int]) -> int:
    """Make ``blocks`` of ``target`` equal to those of ``source``, which has that ``size``; returns bytes written."""
    written = 0
    block, old_block = bytearray(BLOCK_SIZE), bytearray(BLOCK_SIZE)
    for number in blocks:
        place = number * BLOCK_SIZE
        if size - place < BLOCK_SIZE:
            # The last block.
            block, old_block = block[: size - place], old_block[: size - place]
        count = os.preadv(source, [block], place)
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
