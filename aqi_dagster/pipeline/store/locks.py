"""The locks that processes queue for: files beside the private store, which a killed process cannot leave locked."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from aqi_dagster.errors import StoreBusyError, StoreError

WAIT_SAID_AFTER = 2.0
"""Seconds of waiting for a lock after which the log says so."""

_log = logging.getLogger(__name__)


@contextmanager
def locked(path: Path, timeout: float) -> Iterator[None]:
    """Hold the lock ``path`` for the time of the block; its folder is made if it is missing.

    Raises :class:`StoreBusyError` if it cannot be had within ``timeout`` seconds, and :class:`StoreError` if the folder
    cannot be written.
    """
    lock = FileLock(path, timeout=timeout, mode=0o600)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _acquire(lock, timeout)
    except Timeout:
        raise StoreBusyError(
            f"Another run held the lock {path} for more than {timeout:g} s. Wait for that run or cancel it in the "
            "Dagster UI, then run this one again; AQI_LOCK_TIMEOUT_SECONDS sets how long to wait."
        ) from None
    except OSError as error:
        raise StoreError(
            f"The folder {path.parent} cannot be written: {error.strerror or error}. Give this user the right to, "
            "make room on its disk, or point AQI_DATA_DIR elsewhere."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: FileLock, timeout: float) -> None:
    """Acquire ``lock``; a wait that others may wonder at is logged when it begins to be one, and at its end."""
    quiet = min(WAIT_SAID_AFTER, timeout)
    started = time.monotonic()
    try:
        lock.acquire(timeout=quiet)
        return
    except Timeout:
        if quiet == timeout:
            raise
    _log.warning("Another run or command has %s: waiting for it, %g s at most.", lock.lock_file, timeout - quiet)
    lock.acquire(timeout=timeout - quiet)
    _log.info("waited %.0f s for %s", time.monotonic() - started, lock.lock_file)
