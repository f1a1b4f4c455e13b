"""Plots on the asset pages. A plot that fails must not fail the run, whose tables are written."""

from base64 import b64encode
from collections.abc import Callable
from typing import TypeVar

import dagster as dg

from aqi_dagster.assets.markdown import escaped

Result = TypeVar("Result")
Subject = TypeVar("Subject")


def attempt(context: dg.AssetExecutionContext, plot: str, make: Callable[[], Result]) -> Result | None:
    """Return the result of ``make``, a part of ``plot``; if it fails, log a warning in the run and return None.

    A plot that cannot be drawn is then missing from its page, and nothing else.
    """
    try:
        return make()
    except Exception as error:  # noqa: BLE001 (Matplotlib, Pillow and the fonts of a machine fail in many ways)
        context.log.warning(
            f"The plot of {plot} is missing from its page, as it could not be drawn: {type(error).__name__}: {error}. "
            "The data is complete. Materialize the window again for another attempt; if that fails too, install "
            "Matplotlib and Pillow as constraints.txt has them."
        )
        return None


def picture(
    context: dg.AssetExecutionContext, plot: str, text: str, subject: Subject | None, draw: Callable[[Subject], bytes]
) -> dg.MarkdownMetadataValue | None:
    """The PNG that ``draw`` makes of ``subject``, as Markdown with ``text`` for readers who cannot see it.

    None if ``subject`` is None, or if it cannot be drawn.
    """
    png = None if subject is None else attempt(context, plot, lambda: draw(subject))
    return (
        None
        if png is None
        else dg.MetadataValue.md(f"![{escaped(text)}](data:image/png;base64,{b64encode(png).decode()})")
    )
