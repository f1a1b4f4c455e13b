"""A sensor beside the other sensors of its region, for all regions of a window at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aqi_dagster.pipeline.health.hours import Counts, Flags, Floats


@dataclass(frozen=True)
class Neighbourhoods:
    """The region of each sensor by its ``number``, 0 and up; False in ``has_region`` if it is not known."""

    number: Counts
    has_region: Flags

    @classmethod
    def of(cls, regions: Sequence[str | None]) -> "Neighbourhoods":
        """By the name of each sensor's region, None where it is not known."""
        numbers = {name: number for number, name in enumerate(dict.fromkeys(regions))}
        return cls(
            np.array([numbers[name] for name in regions], np.int64),
            np.array([name is not None for name in regions], np.bool_),
        )

    def count(self, members: Flags) -> Counts:
        """How many of ``members`` are in the region of each sensor, itself included."""
        return self._sizes(members)[self.number]

    def middles_of_others(self, values: Floats, members: Flags) -> tuple[Floats, Floats]:
        """The two middle ``values`` of the *other* ``members`` in the region of each sensor, the lower first.

        Both are the median where these are odd in number, and NaN where there are none.
        """
        rows = np.flatnonzero(members)
        rows = rows[np.lexsort((values[rows], self.number[rows]))]
        sizes = self._sizes(members)
        begins = np.cumsum(sizes) - sizes
        # Where a sensor stands among the members of its region; who is not among them stands behind the last.
        rank = sizes[self.number]
        rank[rows] = np.arange(len(rows)) - begins[self.number[rows]]
        others = sizes[self.number] - members

        def others_at(index: Counts) -> Floats:
            picked = np.full(len(values), np.nan)
            place = begins[self.number] + index + (index >= rank)
            picked[others > 0] = values[rows[place[others > 0]]]
            return picked

        return others_at((others - 1) // 2), others_at(others // 2)

    def median_of_others(self, values: Floats, members: Flags) -> Floats:
        """The median of ``values`` of the other ``members`` in the region of each sensor; NaN if there are none."""
        lower, upper = self.middles_of_others(values, members)
        return np.asarray((lower + upper) / 2)

    def _sizes(self, members: Flags) -> Counts:
        """Number of ``members`` by number of the region."""
        return np.bincount(self.number[members], minlength=int(self.number.max(initial=-1)) + 1)
