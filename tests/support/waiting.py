"""How long tests wait: for as long as it takes, and not for ever."""

import time
from collections.abc import Callable
from typing import Any

import requests

LIMIT_SECONDS = 300.0
"""Limit for anything that must come: it ends what hangs, and says nothing of how fast a busy machine has to be.

Where a test shows that something ends early, it sets the product's own limit to :data:`NEVER_SECONDS`, and asserts that
the end came within this one.
"""

NEVER_SECONDS = 2 * LIMIT_SECONDS


def wait_for(what: str, ready: Callable[[], Any], pause: float = 0.5) -> Any:
    """Return the first true value that ``ready`` returns, asked every ``pause`` seconds; it may fail to connect before.

    Raises ``AssertionError`` that names ``what`` after :data:`LIMIT_SECONDS`.
    """
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        try:
            if value := ready():
                return value
        except requests.ConnectionError:
            pass
        time.sleep(pause)
    raise AssertionError(f"no {what} within {LIMIT_SECONDS:g} s")
