"""Where the checkout is, and beside it the real readings that are not part of it."""

from pathlib import Path

TOP = Path(__file__).parents[2]

SHARED = TOP.parent / "shared"
