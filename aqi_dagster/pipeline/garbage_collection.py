"""Python's cyclic garbage collector, paused while millions of short-lived objects come and go."""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


@contextmanager
def collection_paused() -> Iterator[None]:
    """Pause the collector for the block. Reference counts free the messages, so nothing piles up meanwhile.

    So many messages would start the collector again and again, to visit every living object each time, most of them
    Dagster's: a third of the time of a long pull.
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

    They live until the process ends, and each visit of all of them takes a fifth of a second, after the pull too.
    """
    gc.freeze()
    # The last collection, at the end of the process, has to visit them: DuckDB complains about objects that outlive it.
    atexit.register(gc.unfreeze)
