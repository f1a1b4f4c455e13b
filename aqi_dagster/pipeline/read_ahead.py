"""Working on one item while the next ones are made ready."""

import queue
import threading
from collections.abc import Generator
from typing import Generic, TypeVar

Item = TypeVar("Item")

_POLL_SECONDS = 0.2
"""How soon the producing thread notices that nobody wants its items any more."""


def read_ahead(items: Generator[Item], ahead: int) -> Generator[Item]:
    """The same ``items``, made in a second thread while those before are worked on; ``ahead`` of them wait at most.

    An error of ``items`` is raised where its item would have come. When this generator has ended, be it closed early,
    so have the thread and ``items``.
    """
    producer = _Producer(items, ahead)
    try:
        producer.start()
        while (entry := producer.ready.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry[0]
    finally:
        producer.unwanted.set()
        try:
            producer.await_end()
        finally:
            # Again, because an interrupt ends a wait: the caller closes what the thread may still use.
            producer.await_end()


class _Producer(Generic[Item]):
    """The thread that makes the items: each as a tuple of one, then None, or the error that ended them."""

    def __init__(self, items: Generator[Item], ahead: int) -> None:
        self.ready: queue.Queue[tuple[Item] | BaseException | None] = queue.Queue(ahead)
        self.unwanted = threading.Event()
        self._items = items
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._make, name="read-ahead", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def await_end(self) -> None:
        """Wait for the end of the thread; one that has not begun will find itself unwanted."""
        # Not by join, because Python 3.11 takes a thread for ended once a join of it was interrupted.
        if self._thread.ident is not None:
            self._ended.wait()

    def _make(self) -> None:
        try:
            if self.unwanted.is_set():
                return
            for item in self._items:
                if not self._put((item,)):
                    return
        # Whatever it is, it belongs to the thread that asked for the items.
        except BaseException as error:  # noqa: BLE001
            self._put(error)
        else:
            self._put(None)
        finally:
            try:
                self._items.close()
            finally:
                self._ended.set()

    def _put(self, entry: tuple[Item] | BaseException | None) -> bool:
        """Have ``entry`` wait to be taken; False if nobody wants it any more."""
        while not self.unwanted.is_set():
            try:
                self.ready.put(entry, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False
