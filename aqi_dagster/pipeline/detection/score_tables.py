"""The trees that all detectors of one configuration share, as tables over PM2.5 instead of nodes.

A HalfSpaceTrees scores with the masses of its last full window (``r_mass``) while it counts the next one
(``l_mass``); every ``window_size`` readings, at a pivot, ``l_mass`` replaces ``r_mass``. The thresholds of all trees
cut the axis of PM2.5 into cells, and between two pivots a score depends on the cell of its reading alone. All sums are
of whole numbers that float64 holds exactly, so the order of summation does not matter.

Masses are float arrays of the shape (nodes of a depth from left to right, trees, columns), a column being a window
of a detector. Other tables have the shape (cells, columns).
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]


class Forest:
    """Trees of one height; ``thresholds`` lists theirs tree by tree, from left to right."""

    def __init__(self, n_trees: int, height: int, window_size: int, thresholds: Sequence[float]) -> None:
        self.n_trees, self.height, self.window_size = n_trees, height, window_size
        cuts = np.array(thresholds).reshape(n_trees, 2**height - 1).T
        self._cut_order = np.argsort(cuts, axis=None, kind="stable")
        self._cuts = cuts.ravel()[self._cut_order]
        self.n_cells = cuts.size + 1
        # A leaf ends with the cell below the cut on its right, the rightmost leaf with the last cell.
        self._last_cells = np.full((2**height, n_trees), cuts.size)
        self._last_cells[:-1] = np.argsort(self._cut_order).reshape(cuts.shape)

    def cells(self, values: Floats) -> Ints:
        """The cell of each value: the number of cuts at or below it, as River goes right at a threshold."""
        return self._cuts.searchsorted(values, side="right")

    def masses(self, counts: Floats) -> Floats:
        """Masses of the leaves from the number of readings in each cell; overwrites ``counts``."""
        up_to = _cumulate(counts)[self._last_cells]
        masses = up_to.copy()
        masses[1:] -= up_to[:-1]
        return masses

    def levels(self, leaves: Floats) -> list[Floats]:
        """Masses of the nodes of each depth, from the roots to ``leaves``."""
        levels = [leaves]
        for _ in range(self.height):
            levels.append(levels[-1][::2] + levels[-1][1::2])
        return levels[::-1]

    def scores(self, leaves: Floats) -> Floats:
        """The score of a reading, by its cell and by the column of masses that scores it."""
        levels = self.levels(leaves)
        score = levels[0]
        for depth, (parents, masses) in enumerate(pairwise(levels), start=1):
            # River goes no deeper than to the first node below this limit.
            weight = (parents >= 0.1 * self.window_size) * 2.0**depth
            children = masses.reshape(len(parents), 2, *parents.shape[1:])
            score = (score[:, None] + children * weight[:, None]).reshape(masses.shape)
        # From a cell to the next one, the score changes only in the tree that has the cut between them.
        changes = np.diff(score, axis=0).reshape(self.n_cells - 1, score.shape[-1])[self._cut_order]
        sums = _cumulate(np.concatenate([score[0].sum(axis=0, keepdims=True), changes]))
        scores: Floats = 1 - sums / (self.n_trees * self.window_size * (2 ** (self.height + 1) - 1))
        return scores

    def node_masses(self, leaves: Floats) -> Floats:
        """Masses of all nodes of each tree from left to right, whatever their depth."""
        masses = np.empty((2 ** (self.height + 1) - 1, *leaves.shape[1:]))
        for depth, level in enumerate(self.levels(leaves)):
            span = 2 ** (self.height + 1 - depth)
            masses[span // 2 - 1 :: span] = level
        return masses


def _cumulate(table: Floats) -> Floats:
    # In place and row by row, because numpy's cumsum over the first axis takes three times as long.
    for above, row in pairwise(table):
        row += above
    return table
