"""Reading ahead ends with whoever reads, however that ends."""

import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing

import pytest

from aqi_dagster.pipeline.read_ahead import read_ahead


@pytest.fixture
def interrupt_twice() -> Iterator[Callable[[], None]]:
    """Interrupts the main thread twice, as someone does who presses Ctrl-C again after 0.1 s."""
    main = threading.main_thread().ident
    assert main is not None

    def press() -> None:
        for _ in range(2):
            time.sleep(0.1)
            signal.pthread_kill(main, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    yield press
    signal.signal(signal.SIGUSR1, before)


def test_the_thread_has_ended_before_even_a_second_interrupt_gets_through(
    interrupt_twice: Callable[[], None],
) -> None:
    closed = []

    def slow() -> Generator[int]:
        try:
            yield 1
            interrupt_twice()
            # In this time the second interrupt would get through.
            time.sleep(0.3)
            yield 2
        finally:
            closed.append(True)

    with pytest.raises(KeyboardInterrupt), closing(read_ahead(slow(), ahead=4)) as items:
        list(items)
    assert closed == [True]


def test_an_interrupt_while_the_thread_starts_ends_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    start, closed = threading.Thread.start, threading.Event()

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        raise KeyboardInterrupt

    def endless() -> Generator[int]:
        try:
            while True:
                time.sleep(0.01)
                yield 1
        finally:
            closed.set()

    items = endless()
    next(items)
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(read_ahead(items, ahead=4))
    assert closed.is_set()
