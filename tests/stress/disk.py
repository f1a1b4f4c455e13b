"""A disk of an installation's own, so small that it is full whenever that is asked for."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOMY = 1 << 30
"""Bytes; those of a file system in memory cost nothing until they are written."""

PAGE = 4096
"""Bytes that a file system in memory gives out at once."""


@dataclass(frozen=True)
class Disk:
    """A file system in memory, mounted at ``folder``; or just the folder, where this user may mount nothing."""

    folder: Path
    is_mounted: bool

    @property
    def used(self) -> int:
        """Bytes that are taken."""
        state = os.statvfs(self.folder)
        return (state.f_blocks - state.f_bfree) * state.f_frsize

    @contextmanager
    def nearly_full(self, left: int) -> Iterator[None]:
        """Let only ``left`` bytes be written within the block."""
        self._resize(self.used + left)
        try:
            yield
        finally:
            self._resize(ROOMY)

    def _resize(self, size: int) -> None:
        # A size of 0 would be none, and cannot be taken back.
        subprocess.run(["mount", "-o", f"remount,size={max(size, PAGE)}", self.folder], check=True)


@contextmanager
def disk(folder: Path) -> Iterator[Disk]:
    """Make ``folder`` a disk of its own if this user may."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOMY}", "aqi", folder]
    try:
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield Disk(folder, mounted)
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", folder], check=True)
