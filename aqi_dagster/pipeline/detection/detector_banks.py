"""The detectors of many sensors at once: River's scores and pickles bit for bit, without a Python loop over readings.

A :class:`TableBank` keeps the counts of all detectors as arrays and scores whole series of readings with the tables of
:mod:`score_tables`. It relies on the internals of one release of River; for any other, and for trees too large for
tables, a :class:`LoopBank` feeds River's own objects reading by reading, and the log says so.
"""

import logging
import pickle
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Protocol

import numpy as np
from river.anomaly import HalfSpaceTrees

from aqi_dagster.pipeline.detection.detector_states import RIVER_VERSION, StoredState
from aqi_dagster.pipeline.detection.detectors import DetectorParameters, new_detector, score_and_learn
from aqi_dagster.pipeline.detection.pickle_layout import MAX_COUNT, Counts, PickleLayout
from aqi_dagster.pipeline.detection.score_tables import Floats, Forest, Ints
from aqi_dagster.pipeline.detection.state_pickles import (
    PICKLE_PROTOCOL,
    blank_detector,
    compressor,
    damaged,
    decompress,
    load_state,
)

_log = logging.getLogger(__name__)

_TESTED_RIVER = "0.26.1"
"""The release whose internals this module relies on. Before changing it, let the tests compare the two banks."""

_TABLE_SIZE = 2**17
"""Numbers in a table: so many fit into the processor's cache, together with the nodes of their detectors."""

_MAX_LEAVES = _TABLE_SIZE // 16
"""Most leaves that all trees of a detector may have: a table has to hold several windows of a detector."""

_MAX_MASS = 2**40
"""Highest sum of masses: float64 and int64 hold it exactly, and also its product with the columns of a table."""


class DetectorBank(Protocol):
    """Detectors of one configuration, numbered in the order in which they were added."""

    def add(self, states: Sequence[StoredState | None]) -> None:
        """Add a detector for each state, a new one for None.

        Raises :class:`~aqi_dagster.errors.DetectorStateError` for a state that cannot be trusted.
        """

    def score_and_learn(self, numbers: Sequence[int], lengths: Sequence[int], values: Floats) -> Floats:
        """Return the score of each of ``values`` (PM2.5, ug/m3, in order), which its detector learns afterwards.

        ``values`` holds one series for each detector in ``numbers``, end to end; ``lengths`` are the lengths of these
        series, at least 1. No detector is in ``numbers`` twice.
        """

    def states(self, numbers: Sequence[int]) -> list[bytes]:
        """The compressed pickles of detectors that have learned something."""


def detector_bank(parameters: DetectorParameters) -> DetectorBank:
    """An empty bank for detectors with ``parameters``: a :class:`TableBank` where tables equal River exactly.

    >>> bank = detector_bank(DetectorParameters(window_size=2))
    >>> bank.add([None, None])
    >>> bank.score_and_learn([1, 0], [1, 3], np.array([7.0, 5.0, 5.0, 900.0]))
    array([0.        , 0.        , 0.        , 0.93333333])
    """
    if reason := _misfit(parameters):
        _log.warning("Scoring reading by reading, which is slower: %s", reason)
        return LoopBank(parameters)
    return TableBank(parameters)


def _misfit(parameters: DetectorParameters) -> str:
    """Why detectors with ``parameters`` need a :class:`LoopBank`; empty if they do not."""
    n_leaves = parameters.n_trees * 2**parameters.height
    if RIVER_VERSION != _TESTED_RIVER:
        return f"river is {RIVER_VERSION}, and tables are known to equal {_TESTED_RIVER} only"
    if n_leaves > _MAX_LEAVES:
        return f"{n_leaves} leaves are more than {_MAX_LEAVES}"
    if 2 * n_leaves * parameters.window_size > _MAX_MASS:
        return f"masses may exceed {_MAX_MASS}"
    return ""


class LoopBank:
    """Detectors as River's own objects."""

    def __init__(self, parameters: DetectorParameters) -> None:
        self._parameters = parameters
        self._detectors: list[HalfSpaceTrees] = []

    def add(self, states: Sequence[StoredState | None]) -> None:
        """See :meth:`DetectorBank.add`."""
        self._detectors += [
            load_state(state, self._parameters) if state else new_detector(self._parameters) for state in states
        ]

    def score_and_learn(self, numbers: Sequence[int], lengths: Sequence[int], values: Floats) -> Floats:
        """See :meth:`DetectorBank.score_and_learn`."""
        series = np.split(values, np.cumsum(lengths)[:-1])
        scores = [
            score_and_learn(self._detectors[number], part.tolist())
            for number, part in zip(numbers, series, strict=True)
        ]
        return np.array([*chain.from_iterable(scores)], np.float64)

    def states(self, numbers: Sequence[int]) -> list[bytes]:
        """See :meth:`DetectorBank.states`."""
        compress = compressor(self._parameters)
        return [compress(pickle.dumps(self._detectors[number], protocol=PICKLE_PROTOCOL)) for number in numbers]


class TableBank:
    """Detectors as arrays of the masses of their leaves, in the shape (leaves of a tree, trees, detectors)."""

    def __init__(self, parameters: DetectorParameters) -> None:
        self._parameters = parameters
        self._blank = blank_detector(parameters)
        nodes = [*chain.from_iterable(self._blank._tree_nodes)]
        places = _places_from_left_to_right(parameters.n_trees, parameters.height)
        self._places = np.array(places).reshape(parameters.n_trees, -1)
        thresholds = [nodes[place].threshold for tree in self._places.tolist() for place in tree[1::2]]
        self._forest = Forest(parameters.n_trees, parameters.height, parameters.window_size, thresholds)
        self._layout = PickleLayout(self._blank) if parameters.window_size <= MAX_COUNT else None
        no_masses = np.zeros((2**parameters.height, parameters.n_trees, 0))
        self._l_masses, self._r_masses = no_masses, no_masses
        self._counters = np.zeros(0, np.intp)
        self._in_first_window = np.zeros(0, bool)

    def add(self, states: Sequence[StoredState | None]) -> None:
        """See :meth:`DetectorBank.add`."""
        count = len(states)
        counts = Counts(
            np.zeros((count, self._places.size), np.intp),
            np.zeros((count, self._places.size), np.intp),
            np.zeros(count, np.intp),
            np.ones(count, bool),
        )
        pickles: dict[int, bytes] = {}
        for number, state in enumerate(states):
            if state is None:
                continue
            pickled = decompress(state, self._parameters)
            if self._layout and self._layout.fits(pickled):
                pickles[number] = pickled
            else:
                for column, value in zip(counts, _counts_of(load_state(state, self._parameters)), strict=True):
                    column[number] = value
        if self._layout and pickles:
            for column, values in zip(counts, self._layout.decode([*pickles.values()]), strict=True):
                column[[*pickles]] = values
        l_leaves, r_leaves = self._leaves(counts.l_masses), self._leaves(counts.r_masses)
        # The masses of the leaves determine those of all nodes, and the counter.
        l_sums, r_sums = self._in_order_of_river(l_leaves), self._in_order_of_river(r_leaves)
        mismatch = ((l_sums != counts.l_masses) | (r_sums != counts.r_masses)).any(axis=1)
        mismatch |= counts.counters != l_sums[:, 0]
        for number in np.flatnonzero(mismatch).tolist():
            if state := states[number]:
                raise damaged(state, "its counts contradict each other")
        self._l_masses = np.concatenate([self._l_masses, l_leaves], axis=-1)
        self._r_masses = np.concatenate([self._r_masses, r_leaves], axis=-1)
        self._counters = np.append(self._counters, counts.counters)
        self._in_first_window = np.append(self._in_first_window, counts.in_first_window)

    def score_and_learn(self, numbers: Sequence[int], lengths: Sequence[int], values: Floats) -> Floats:
        """See :meth:`DetectorBank.score_and_learn`."""
        scores = []
        begin = 0
        for pieces in self._blocks(lengths):
            members, sizes = np.array(pieces).T
            end = begin + int(sizes.sum())
            scores.append(self._score_and_learn(np.asarray(numbers)[members], sizes, values[begin:end]))
            begin = end
        return np.concatenate(scores) if scores else np.zeros(0)

    def states(self, numbers: Sequence[int]) -> list[bytes]:
        """See :meth:`DetectorBank.states`."""
        rows = np.asarray(numbers, np.intp)
        counts = Counts(
            self._in_order_of_river(self._l_masses[..., rows]),
            self._in_order_of_river(self._r_masses[..., rows]),
            self._counters[rows],
            self._in_first_window[rows],
        )
        pickles = self._layout.encode(counts) if self._layout else self._pickles(counts)
        compress = compressor(self._parameters)
        return [compress(pickled) for pickled in pickles]

    def _blocks(self, lengths: Sequence[int]) -> Iterator[list[tuple[int, int]]]:
        """Cut all series into pieces (index, length) and yield blocks of pieces that fit into one table.

        No block holds two pieces of one series.
        """
        leaves = self._parameters.n_trees * 2**self._parameters.height
        window_size = self._parameters.window_size
        longest = (_TABLE_SIZE - 3 * leaves) * window_size // (window_size + leaves)
        block: list[tuple[int, int]] = []
        room = _TABLE_SIZE
        for index, rest in enumerate(lengths):
            while rest:
                piece = min(rest, longest)
                size = piece + (piece // window_size + 3) * leaves
                if block and (size > room or block[-1][0] == index):
                    yield block
                    block, room = [], _TABLE_SIZE
                block.append((index, piece))
                room -= size
                rest -= piece
        if block:
            yield block

    def _score_and_learn(self, rows: Ints, lengths: Ints, values: Floats) -> Floats:
        """Score and learn one piece of a series for each detector of ``rows``.

        A detector has a column for the window that it scores with now, one for the window that it is counting, and one
        more for each pivot to come. A reading counts in one column and is scored by the column before it.
        """
        window_size = self._forest.window_size
        counters = self._counters[rows]
        pivots, new_counters = np.divmod(counters + lengths, window_size)
        last = np.cumsum(pivots + 2) - 1
        first = last - pivots - 1
        n_columns = last[-1] + 1

        # With all windows end to end, a reading's column is its position divided by their size.
        ends = np.cumsum(lengths)
        positions = np.arange(ends[-1]) + np.repeat(first * window_size + counters + lengths - ends, lengths)
        places = self._forest.cells(values) * n_columns + positions // window_size
        n_cells = self._forest.n_cells
        counts = np.bincount(places + 1, minlength=n_cells * n_columns).reshape(n_cells, n_columns)

        masses = self._forest.masses(counts.astype(np.float64))
        masses[..., first] += self._r_masses[..., rows]
        masses[..., first + 1] += self._l_masses[..., rows]
        table = self._forest.scores(masses)
        table[:, first[self._in_first_window[rows]]] = 0.0

        self._l_masses[..., rows] = masses[..., last]
        self._r_masses[..., rows] = masses[..., last - 1]
        self._counters[rows] = new_counters
        self._in_first_window[rows] &= pivots == 0
        scores: Floats = table.ravel()[places]
        return scores

    def _leaves(self, masses: Ints) -> Floats:
        """Pick the masses of the leaves, in the shape of this bank, from those of all nodes in River's order."""
        return masses[:, self._places[:, ::2]].T.astype(np.float64)

    def _in_order_of_river(self, leaves: Floats) -> Ints:
        """Sum the leaves to the masses of all nodes, in River's order: the reverse of :meth:`_leaves`."""
        masses = np.empty((leaves.shape[-1], self._places.size), np.intp)
        masses[:, self._places] = self._forest.node_masses(leaves).T
        return masses

    def _pickles(self, counts: Counts) -> Iterator[bytes]:
        """The pickles of detectors whose counts may exceed a byte: one River object holds each in turn."""
        nodes = [*chain.from_iterable(self._blank._tree_nodes)]
        rows = zip(*(column.tolist() for column in counts), strict=True)
        for l_masses, r_masses, counter, in_first_window in rows:
            self._blank.counter, self._blank._first_window = counter, in_first_window
            for node, l_mass, r_mass in zip(nodes, l_masses, r_masses, strict=True):
                node.l_mass, node.r_mass = l_mass, r_mass
            yield pickle.dumps(self._blank, protocol=PICKLE_PROTOCOL)


def _places_from_left_to_right(n_trees: int, height: int) -> list[int]:
    """Places in River's list of all nodes, tree by tree, and in each tree from left to right, leaf and branch in turn.

    River lists the nodes of a tree depth first: the root, then all to its left, then all to its right.
    """

    def in_order(root: int, height: int) -> list[int]:
        if not height:
            return [root]
        return [*in_order(root + 1, height - 1), root, *in_order(root + 2**height, height - 1)]

    return [place for tree in range(n_trees) for place in in_order(tree * (2 ** (height + 1) - 1), height)]


def _counts_of(detector: HalfSpaceTrees) -> tuple[list[int] | int, list[int] | int, int, bool]:
    """The counts of one detector, as in :class:`Counts`."""
    nodes = [*chain.from_iterable(detector._tree_nodes)]
    return (
        [node.l_mass for node in nodes] or 0,
        [node.r_mass for node in nodes] or 0,
        detector.counter,
        detector._first_window,
    )
