"""Python functions as machine code, by Numba."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

_log = logging.getLogger(__name__)


def compiled(function: Function) -> Function:
    """``function`` as part of the machine code of those that call it."""
    machine_code: Any = njit(function)
    return cast("Function", machine_code)


def kept(signature: Any) -> Callable[[Function], Function]:
    """A function with Numba's ``signature`` as machine code, made once and kept on disk where that can be written.

    It lets other threads use the interpreter while it runs. What is kept is made anew only when the function's own file
    changes: nothing of another file may be a constant in it or in what it calls.
    """

    def keep(function: Function) -> Function:
        try:
            machine_code: Any = njit(signature, nogil=True, cache=True)(function)
        # No place to write to, a full disk, a file that a power cut left half written: Numba tells these in many ways.
        except Exception as error:  # noqa: BLE001
            _log.warning("%s is compiled anew in each run, for some seconds: %s", function.__name__, error)
            machine_code = njit(signature, nogil=True)(function)
        return cast("Function", machine_code)

    return keep
