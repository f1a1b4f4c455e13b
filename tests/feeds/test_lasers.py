"""Which lines of two lasers belong together."""

from hypothesis import given
from hypothesis import strategies as st

from aqi_dagster.feeds.lasers import WITHIN_SECONDS, partners

SECONDS = st.lists(st.integers(0, 600), max_size=25).map(sorted)


def slowly(first: list[int], second: list[int]) -> list[int | None]:
    """The same, by looking at every line of the second laser for every one of the first."""
    left = dict(enumerate(second))
    found: list[int | None] = []
    for moment in first:
        near = sorted((abs(other - moment), place) for place, other in left.items())
        place = near[0][1] if near and near[0][0] <= WITHIN_SECONDS else None
        if place is not None:
            del left[place]
        found.append(place)
    return found


@given(first=SECONDS, second=SECONDS)
def test_each_line_takes_the_nearest_one_that_is_left(first: list[int], second: list[int]) -> None:
    found = partners(first, second)
    expected = slowly(first, second)
    assert [place is None for place in found] == [place is None for place in expected]
    times = [None if place is None else second[place] for place in found]
    assert times == [None if place is None else second[place] for place in expected]
    taken = [place for place in found if place is not None]
    assert len(set(taken)) == len(taken)


def test_lines_that_are_a_minute_apart_belong_together_and_no_others() -> None:
    assert partners([0, 300], [60, 361]) == [0, None]
    assert partners([100], [40, 160]) == [0]
    assert partners([], [1, 2]) == []
    assert partners([1, 2], []) == [None, None]
