"""Detectors over whole series: River's scores and states bit for bit, without a Python loop over readings.

A HalfSpaceTrees scores with the masses of its last full window (``r_mass``) while it counts the next one
(``l_mass``); every ``window_size`` readings, at a pivot, the second take the place of the first. So between two pivots
a score depends on nothing but the cell of the reading: the thresholds of all trees cut the axis of PM2.5 into cells.
Detectors with equal thresholds go together: one table counts their readings by cell and window, another one, made
from it, holds the scores. All sums are of whole numbers that float64 holds exactly, so their order is free.

This relies on the inside of one release of River. A detector that it does not fit goes through
:func:`~aqi_dagster.pipeline.detectors.score_and_learn`, reading by reading, and the log says so once.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from river.anomaly import HalfSpaceTrees

from aqi_dagster.pipeline.detectors import FEATURE, RIVER_VERSION, score_and_learn

_log = logging.getLogger(__name__)

_KNOWN_RIVER = "0.26.1"
"""The release whose inside this module knows. Before changing it, let the tests compare the two."""

_TABLE_SIZE = 2**17
"""Numbers in a table: with the nodes of its detectors they should fit into the processor's cache."""

_MAX_LEAVES = _TABLE_SIZE // 16
"""Most leaves that the trees of a detector may have together: a table has to hold several of its windows."""

_MAX_MASS = 2**40
"""Highest sum of masses: float64 and int64 hold it exactly, times the columns of a table too."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]


class _Task(NamedTuple):
    """A detector, its readings, and the array that takes their scores."""

    detector: HalfSpaceTrees
    values: Floats
    scores: Floats

    def part(self, readings: slice) -> "_Task":
        """The same detector with only some of its readings."""
        return self._replace(values=self.values[readings], scores=self.scores[readings])


class _Shape(NamedTuple):
    """What the size of a detector's tables depends on."""

    n_trees: int
    height: int
    window_size: int

    def __str__(self) -> str:
        return f"{self.n_trees} trees of height {self.height} with windows of {self.window_size}"

    @property
    def n_leaves(self) -> int:
        """Leaves of all trees."""
        return self.n_trees * (1 << self.height)


def score_and_learn_all(detectors: Sequence[HalfSpaceTrees], series: Sequence[Floats]) -> list[Floats]:
    """Score and then learn each value of ``series[i]`` (PM2.5, ug/m3, in order) with ``detectors[i]``, for all i.

    Scores and detectors come out equal to those of :func:`~aqi_dagster.pipeline.detectors.score_and_learn`; a series
    may be cut into several calls anywhere. Raises :class:`ValueError` if there are not as many series as detectors, or
    if a detector is there twice.

    >>> from aqi_dagster.pipeline.detectors import DetectorParameters, new_detector
    >>> score_and_learn_all([new_detector(DetectorParameters(window_size=2))], [np.array([5.0, 5.0, 900.0])])
    [array([0.        , 0.        , 0.93333333])]
    """
    if len({id(detector) for detector in detectors}) < len(detectors):
        raise ValueError("a detector is there twice: give it all its readings as one series")
    tasks = [_Task(detector, values, np.zeros(len(values))) for detector, values in zip(detectors, series, strict=True)]
    by_shape: defaultdict[_Shape, list[_Task]] = defaultdict(list)
    for task in tasks:
        if reason := _misfit(task.detector):
            _loop(task, reason)
        elif len(task.values):
            by_shape[_shape(task.detector)].append(task)
    for shape, alike in by_shape.items():
        if _pays(shape, alike):
            for block in _blocks(shape, alike):
                _score_and_learn(shape, block)
        else:
            reason = f"so few readings do not repay the tables of {shape}"
            for task in alike:
                _loop(task, reason)
    return [task.scores for task in tasks]


def _shape(detector: HalfSpaceTrees) -> _Shape:
    return _Shape(detector.n_trees, detector.height, detector.window_size)


def _loop(task: _Task, reason: str) -> None:
    _log_once(reason)
    task.scores[:] = score_and_learn(task.detector, task.values.tolist())


@cache
def _log_once(reason: str) -> None:
    _log.info("Scoring reading by reading, which is slower: %s", reason)


def _misfit(detector: HalfSpaceTrees) -> str:
    """Why ``detector`` needs the loop, or nothing."""
    if RIVER_VERSION != _KNOWN_RIVER:
        return f"river is {RIVER_VERSION}, and tables are known to equal {_KNOWN_RIVER} only"
    if type(detector) is not HalfSpaceTrees:
        return f"{type(detector).__name__} is not HalfSpaceTrees"
    if detector.limits.keys() != {FEATURE}:
        # River enters every feature here that it draws trees for.
        return f"trees of {', '.join(map(repr, detector.limits)) or 'no known feature'} are not of {FEATURE!r} alone"
    return _misfit_of_shape(_shape(detector))


@cache
def _misfit_of_shape(shape: _Shape) -> str:
    if min(shape.n_trees, shape.window_size) < 1:
        return f"{shape} never score"
    if shape.n_leaves > _MAX_LEAVES:
        return f"{shape} have more than {_MAX_LEAVES} leaves"
    if 2 * shape.n_leaves * shape.window_size > _MAX_MASS:
        return f"{shape} have masses beyond {_MAX_MASS}"
    return ""


def _pays(shape: _Shape, tasks: list[_Task]) -> bool:
    """Whether tables are quicker than the loop, which visits ``height + 1`` nodes of each tree for a reading.

    As measured, tables take the time of 3 such visits for each leaf of a detector, to read its masses and to write
    them, and of 1/8 for each leaf in each window.
    """
    readings = sum([len(task.values) for task in tasks])
    visits = shape.n_leaves * (3 * len(tasks) + readings / shape.window_size / 8)
    return visits <= readings * shape.n_trees * (shape.height + 1)


def _blocks(shape: _Shape, tasks: list[_Task]) -> Iterator[list[_Task]]:
    """All ``tasks`` in pieces that fit into a table; pieces of one series are in different blocks, in order."""
    leaves, window_size = shape.n_leaves, shape.window_size
    longest = (_TABLE_SIZE - 3 * leaves) * window_size // (window_size + leaves)
    while tasks:
        block: list[_Task] = []
        rests = []
        room = _TABLE_SIZE
        for task in tasks:
            if len(task.values) > longest:
                rests.append(task.part(slice(longest, None)))
                task = task.part(slice(longest))
            size = len(task.values) + (len(task.values) // window_size + 3) * leaves
            if block and size > room:
                yield block
                block, room = [], _TABLE_SIZE
            block.append(task)
            room -= size
        yield block
        tasks = rests


class _Forest:
    """The trees that several detectors have in common.

    Masses are float arrays of the shape (nodes of a depth from left to right, trees, columns), a column being a window
    of a detector. Other tables have the shape (cells, columns). ``thresholds`` come tree by tree, from left to right.
    """

    def __init__(self, shape: _Shape, thresholds: tuple[float, ...]) -> None:
        self.n_trees, self.height, self.window_size = shape
        cuts = np.array(thresholds).reshape(self.n_trees, 2**self.height - 1).T
        self.cut_order = np.argsort(cuts, axis=None, kind="stable")
        self.cuts = cuts.ravel()[self.cut_order]
        self.n_cells = cuts.size + 1
        # A leaf ends with the cell below the cut on its right; the rightmost one has none and ends with the last cell.
        self.last_cells = np.full((2**self.height, self.n_trees), cuts.size)
        self.last_cells[:-1] = np.argsort(self.cut_order).reshape(cuts.shape)

    def cells(self, values: Floats) -> Ints:
        """The cell of each value: how many cuts are not above it, since River goes right at a threshold."""
        return self.cuts.searchsorted(values, side="right")

    def masses(self, counts: Floats) -> Floats:
        """Masses of the leaves after ``counts`` readings by cell, which are overwritten."""
        up_to = _cumulate(counts)[self.last_cells]
        masses = up_to.copy()
        masses[1:] -= up_to[:-1]
        return masses

    def levels(self, leaves: Floats) -> list[Floats]:
        """Masses of the nodes of each depth, from the roots to ``leaves``."""
        levels = [leaves]
        for _ in range(self.height):
            levels.append(levels[-1][::2] + levels[-1][1::2])
        return levels[::-1]

    def scores(self, levels: list[Floats]) -> Floats:
        """What a reading scores, by its cell and by the column whose masses it is scored with."""
        score = levels[0]
        for depth, (parents, masses) in enumerate(pairwise(levels), start=1):
            # River goes no deeper than to the first node below this limit.
            weight = (parents >= 0.1 * self.window_size) * 2.0**depth
            children = masses.reshape(len(parents), 2, *parents.shape[1:])
            score = (score[:, None] + children * weight[:, None]).reshape(masses.shape)
        # From a cell to the next one, the score changes only in the tree that has the cut between them.
        changes = np.diff(score, axis=0).reshape(self.n_cells - 1, score.shape[-1])[self.cut_order]
        sums = _cumulate(np.concatenate([score[0].sum(axis=0, keepdims=True), changes]))
        scores: Floats = 1 - sums / (self.n_trees * self.window_size * (2 ** (self.height + 1) - 1))
        return scores

    def branch_masses(self, levels: list[Floats], columns: Ints) -> Floats:
        """Masses of all branches of a tree from left to right, whatever their depth, in some of the columns."""
        masses = np.empty((2**self.height - 1, self.n_trees, len(columns)))
        for depth, level in enumerate(levels[:-1]):
            span = 2 ** (self.height - depth)
            masses[span // 2 - 1 :: span] = level[..., columns]
        return masses


_forest = lru_cache(maxsize=16)(_Forest)


def _cumulate(table: Floats) -> Floats:
    # In place and row by row: numpy's cumsum over the first axis takes three times as long.
    for above, row in pairwise(table):
        row += above
    return table


@cache
def _places(shape: _Shape) -> tuple[list[int], list[int]]:
    """Where a list of all nodes has the branches and where the leaves, tree by tree, each from left to right.

    River lists the nodes of a tree depth first: the root, then all to its left, then all to its right.
    """

    def in_order(root: int, height: int) -> list[int]:
        if not height:
            return [root]
        return [*in_order(root + 1, height - 1), root, *in_order(root + 2**height, height - 1)]

    trees = [in_order(tree * (2 ** (shape.height + 1) - 1), shape.height) for tree in range(shape.n_trees)]
    return [place for tree in trees for place in tree[1::2]], [place for tree in trees for place in tree[::2]]


def _score_and_learn(shape: _Shape, tasks: list[_Task]) -> None:
    """Score and learn the readings of a block of tasks."""
    branch_places, leaf_places = _places(shape)
    by_thresholds = defaultdict(list)
    for task in tasks:
        if not task.detector.trees:
            # River draws the trees when it learns the first reading, which scores 0.
            score_and_learn(task.detector, task.values[:1].tolist())
            task = task.part(slice(1, None))
        nodes = list(chain.from_iterable(task.detector._tree_nodes))
        by_thresholds[tuple([nodes[place].threshold for place in branch_places])].append((task, nodes))
    for thresholds, members in by_thresholds.items():
        branches = [nodes[place] for _, nodes in members for place in branch_places]
        leaves = [nodes[place] for _, nodes in members for place in leaf_places]
        _score_and_learn_alike(_forest(shape, thresholds), [task for task, _ in members], branches, leaves)


def _score_and_learn_alike(forest: _Forest, tasks: list[_Task], branches: list[Any], leaves: list[Any]) -> None:
    """Score and learn the readings of ``tasks``, whose detectors have the trees of ``forest``.

    The columns of a detector are the window that it scores with now, the one that it is counting, and one more for
    each pivot to come. A reading counts in one column and is scored by the column before it.
    """
    lengths = np.array([len(task.values) for task in tasks])
    counters = np.array([task.detector.counter for task in tasks])
    in_first_window = np.array([task.detector._first_window for task in tasks])
    pivots = (counters + lengths) // forest.window_size
    last = np.cumsum(pivots + 2) - 1
    first = last - pivots - 1
    n_columns = last[-1] + 1

    # With all windows end to end, a reading's column is its position divided by their size.
    ends = np.cumsum(lengths)
    positions = np.arange(ends[-1]) + np.repeat(first * forest.window_size + counters + lengths - ends, lengths)
    cells = forest.cells(np.concatenate([task.values for task in tasks]))
    places = cells * n_columns + positions // forest.window_size
    counts = np.bincount(places + 1, minlength=forest.n_cells * n_columns).reshape(forest.n_cells, n_columns)

    masses = forest.masses(counts.astype(np.float64))
    masses[..., first] += _by_leaf(forest, [leaf.r_mass for leaf in leaves])
    masses[..., first + 1] += _by_leaf(forest, [leaf.l_mass for leaf in leaves])
    levels = forest.levels(masses)
    table = forest.scores(levels)
    table[:, first[in_first_window]] = 0.0

    scores = table.ravel()[places]
    counters = (counters + lengths) % forest.window_size
    begin = 0
    for task, end, counter, pivoted in zip(tasks, ends.tolist(), counters.tolist(), pivots.tolist(), strict=True):
        task.scores[:] = scores[begin:end]
        task.detector.counter = counter
        if pivoted:
            task.detector._first_window = False
        begin = end
    # Not in one loop with the branches: the interpreter is quicker while a loop meets objects of one class.
    for leaf, l_mass, r_mass in zip(leaves, _by_task(masses[..., last]), _by_task(masses[..., last - 1]), strict=True):
        leaf.l_mass = l_mass
        leaf.r_mass = r_mass
    l_masses, r_masses = forest.branch_masses(levels, last), forest.branch_masses(levels, last - 1)
    for branch, l_mass, r_mass in zip(branches, _by_task(l_masses), _by_task(r_masses), strict=True):
        branch.l_mass = l_mass
        branch.r_mass = r_mass


def _by_leaf(forest: _Forest, masses: list[int]) -> Ints:
    """Masses task by task and tree by tree, as an array by leaf, tree and task."""
    return np.fromiter(masses, np.intp, len(masses)).reshape(-1, forest.n_trees, 2**forest.height).T


def _by_task(masses: Floats) -> list[int]:
    """The reverse of :func:`_by_leaf`, in River's own type."""
    in_order: list[int] = masses.T.astype(np.int64).ravel().tolist()
    return in_order
