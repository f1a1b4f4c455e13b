"""Working on one item while the next ones are made ready."""

import queue
import threading
from collections.abc import Generator
from typing import TypeVar

Item = TypeVar("Item")

_POLL_SECONDS = 0.2
"""How soon the producing thread notices that nobody wants its items any more."""


def read_ahead(items: Generator[Item], ahead: int) -> Generator[Item]:
    """The same ``items``, made in a second thread while those before are worked on; ``ahead`` of them wait at most.

    An error of ``items`` is raised where its item would have come. When this generator has ended, be it closed early,
    so have the thread and ``items``.
    """
    ready: queue.Queue[tuple[Item] | BaseException | None] = queue.Queue(ahead)
    unwanted, ended = threading.Event(), threading.Event()

    def put(entry: tuple[Item] | BaseException | None) -> bool:
        while not unwanted.is_set():
            try:
                ready.put(entry, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            if unwanted.is_set():
                return
            for item in items:
                if not put((item,)):
                    return
        # Whatever it is, it belongs to the thread that asked for the items.
        except BaseException as error:  # noqa: BLE001
            put(error)
        else:
            put(None)
        finally:
            try:
                items.close()
            finally:
                ended.set()

    thread = threading.Thread(target=make, name="read-ahead", daemon=True)
    try:
        thread.start()
        while (entry := ready.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry[0]
    finally:
        unwanted.set()
        try:
            _await(ended, thread)
        finally:
            # Again, because an interrupt ends a wait: the caller closes what the thread may still use.
            _await(ended, thread)


def _await(ended: threading.Event, thread: threading.Thread) -> None:
    """Wait for the end of a thread that sets ``ended``; one that has not begun will find itself unwanted."""
    # Not by join, because Python 3.11 takes a thread for ended once a join of it was interrupted.
    if thread.ident is not None:
        ended.wait()
