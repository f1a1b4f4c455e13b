"""Working on one item while the next is made ready."""

import queue
import sys
import threading
from collections.abc import Iterator
from typing import TypeVar

Item = TypeVar("Item")

_SWITCH_SECONDS = 0.0005
"""How long one thread may keep the interpreter from the other: by default ten times as long, at each short call."""

_POLL_SECONDS = 0.2
"""How soon the producing thread notices that nobody wants its items any more."""


def read_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same ``items``, each made in a second thread while the one before is worked on.

    At most two items wait at a time: a finished one, and one that is being made. An error of ``items`` is raised
    where its item would have come. The thread has ended when this generator has, be it closed early.
    """
    ready: queue.Queue[tuple[Item] | BaseException | None] = queue.Queue(maxsize=1)
    unwanted = threading.Event()

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
            for item in items:
                if not put((item,)):
                    return
        # Whatever it is, it belongs to the thread that asked for the items.
        except BaseException as error:  # noqa: BLE001
            put(error)
        else:
            put(None)

    thread = threading.Thread(target=make, name="read-ahead", daemon=True)
    switch_seconds = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    thread.start()
    try:
        while (entry := ready.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry[0]
    finally:
        unwanted.set()
        thread.join()
        sys.setswitchinterval(switch_seconds)
