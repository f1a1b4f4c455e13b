"""Plots on the asset pages: what is nice to see must not cost what was computed."""

from collections.abc import Callable
from typing import TypeVar

import dagster as dg

Made = TypeVar("Made")


def attempted(context: dg.AssetExecutionContext, plot: str, make: Callable[[], Made]) -> Made | None:
    """What ``make`` gives towards ``plot``, or None and a warning in the run's log if it fails.

    The tables are written by then: a plot that cannot be drawn is missing from the page, and nothing else.
    """
    try:
        return make()
    except Exception as error:  # noqa: BLE001 (Matplotlib, Pillow and the fonts of a machine fail in many ways)
        context.log.warning(
            f"The plot of {plot} is missing from its page, as it could not be drawn: {type(error).__name__}: {error}. "
            "The data is complete. Materialize the window again for another attempt; if that fails too, install "
            "Matplotlib and Pillow as constraints.txt has them (`make setup`)."
        )
        return None
