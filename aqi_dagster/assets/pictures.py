"""Plots on the asset pages: what is nice to see must not cost what was computed."""

import re
from base64 import b64encode
from collections.abc import Callable
from typing import TypeVar

import dagster as dg

Made = TypeVar("Made")
Shown = TypeVar("Shown")


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


def _escaped(text: str) -> str:
    """``text`` in one line, so that neither Markdown nor HTML takes any of it for markup."""
    return re.sub(r"([^\w\s.,:;-])", lambda found: f"&#{ord(found[1])};", " ".join(text.split()), flags=re.ASCII)


def picture(
    context: dg.AssetExecutionContext, plot: str, text: str, shown: Shown | None, draw: Callable[[Shown], bytes]
) -> dg.MarkdownMetadataValue | None:
    """The PNG that ``draw`` makes of ``shown``, as Markdown with ``text`` for whoever cannot see it.

    None if there is nothing to be ``shown``, or if it cannot be drawn.
    """
    png = None if shown is None else attempted(context, plot, lambda: draw(shown))
    return (
        None
        if png is None
        else dg.MetadataValue.md(f"![{_escaped(text)}](data:image/png;base64,{b64encode(png).decode()})")
    )
