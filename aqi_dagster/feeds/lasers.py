"""Both lasers of a device: which line of the second one belongs to which of the first."""

from bisect import bisect_left
from collections.abc import Sequence

WITHIN_SECONDS = 60
"""Lines of two lasers that belong together are at most so far apart; each writes one every 80 or 120 seconds."""


def partners(first: Sequence[int], second: Sequence[int]) -> list[int | None]:
    """For each of ``first`` the place in ``second`` of its partner, or None; both are seconds in rising order.

    Each takes, in order, the nearest one that none before it has taken; of two equally near the earlier one.

    >>> partners([0, 120, 240], [37, 100, 130])
    [0, 2, None]
    """
    taken = [False] * len(second)
    found: list[int | None] = []
    for moment in first:
        place = _nearest(second, taken, moment)
        if place is not None:
            taken[place] = True
        found.append(place)
    return found


def _nearest(second: Sequence[int], taken: Sequence[bool], moment: int) -> int | None:
    """Where in ``second`` the nearest to ``moment`` is that is not ``taken``, if any is near enough."""
    after = bisect_left(second, moment)
    before = after - 1
    while before >= 0 and taken[before] and moment - second[before] <= WITHIN_SECONDS:
        before -= 1
    while after < len(second) and taken[after] and second[after] - moment <= WITHIN_SECONDS:
        after += 1
    near = [
        (abs(second[place] - moment), place)
        for place in (before, after)
        if 0 <= place < len(second) and not taken[place] and abs(second[place] - moment) <= WITHIN_SECONDS
    ]
    return min(near)[1] if near else None
