"""Python's cyclic garbage collector, paused while millions of short-lived objects come and go."""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


@contextmanager
def collection_paused() -> Iterator[None]:
    """Pause the collector for the block. Messages die by reference count, so nothing piles up meanwhile.

    They come in such numbers that it would start again and again, and each time look at every living object, most of
    them Dagster's: a third of the time of a long pull.
    """
    _freeze_loaded_objects()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@cache
def _freeze_loaded_objects() -> None:
    """Exempt the objects that live before the first pull of this process, mostly modules and Dagster's definitions.

    They live until the process ends, and looking through them takes a fifth of a second, after the pull too.
    """
    gc.freeze()
    # The last collection, at the end of the process, has to find them: DuckDB complains about what outlives it.
    atexit.register(gc.unfreeze)
