"""Working on one item while a second thread makes the next ones."""

import queue
import threading
from collections.abc import Generator
from typing import Generic, TypeVar

Item = TypeVar("Item")

_POLL_SECONDS = 0.2
"""Time in which the producing thread notices that its items are no longer needed."""


def read_ahead(items: Generator[Item], ahead: int) -> Generator[Item]:
    """Yield ``items``, which a second thread makes in advance: at most ``ahead`` of them wait.

    An error of ``items`` is raised in the place of its item. This generator ends, also when it is closed early, only
    after the thread and ``items`` have ended.
    """
    producer = _Producer(items, ahead)
    try:
        producer.start()
        while (entry := producer.ready.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry[0]
    finally:
        producer.stop.set()
        try:
            producer.await_end()
        finally:
            # Twice, because an interrupt ends the first wait: the caller will close what the thread may still use.
            producer.await_end()


class _Producer(Generic[Item]):
    """The thread that makes the items and queues each as a tuple of one; at the end it queues None, or the error."""

    def __init__(self, items: Generator[Item], ahead: int) -> None:
        self.ready: queue.Queue[tuple[Item] | BaseException | None] = queue.Queue(ahead)
        self.stop = threading.Event()
        self._items = items
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._make, name="read-ahead", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def await_end(self) -> None:
        """Wait for the end of the thread; one that starts later finds ``stop`` set and ends at once."""
        # Not by join: after an interrupted join, Python 3.11 says that the thread has ended.
        if self._thread.ident is not None:
            self._end.wait()

    def _make(self) -> None:
        try:
            if self.stop.is_set():
                return
            for item in self._items:
                if not self._put((item,)):
                    return
        # Any error is raised in the thread that asked for the items.
        except BaseException as error:  # noqa: BLE001
            self._put(error)
        else:
            self._put(None)
        finally:
            try:
                self._items.close()
            finally:
                self._end.set()

    def _put(self, entry: tuple[Item] | BaseException | None) -> bool:
        """Queue ``entry``; returns False if the items are no longer needed."""
        while not self.stop.is_set():
            try:
                self.ready.put(entry, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False
