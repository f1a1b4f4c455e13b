"""Log lines that are written once, not with every poll."""

import logging
from collections.abc import Iterable

NAMED = 5
"""Sensors that a line names one by one."""

_log = logging.getLogger(__name__)


class ToldOnce:
    """Remembers what was told of what, as long as the process lives."""

    def __init__(self) -> None:
        self._left_out: set[tuple[str, str]] = set()
        self._trouble: dict[str, str] = {}

    def left_out(self, reason: str, things: Iterable[str]) -> None:
        """Log that ``things`` are left out for ``reason``, those of which that was not told before."""
        new = sorted({thing for thing in things if (reason, thing) not in self._left_out})
        if new:
            self._left_out.update((reason, thing) for thing in new)
            more = f" and {len(new) - NAMED:,} more" if len(new) > NAMED else ""
            _log.warning("Left out, from now on without a word: %s%s: %s.", ", ".join(new[:NAMED]), more, reason)

    def trouble(self, what: str, problem: str) -> None:
        """Log a ``problem`` with ``what``, unless it is the one that was told last."""
        if self._trouble.get(what) != problem:
            self._trouble[what] = problem
            _log.warning("%s: %s.", what, problem.rstrip("."))

    def well(self, what: str) -> None:
        """Log that ``what`` works again, if it did not."""
        if self._trouble.pop(what, None) is not None:
            _log.info("%s: works again.", what)
