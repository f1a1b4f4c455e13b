"""Detectors as pickles without River objects: the bytes of equal detectors differ in their counts alone.

All detectors of one configuration that have learned a reading have equal trees. A count of at most 255 takes one byte,
always at the same place. So many detectors are pickled and unpickled by copying bytes, and a pickle that differs from
the others anywhere else is none of ours.
"""

import pickle
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from river.anomaly import HalfSpaceTrees

from aqi_dagster.pipeline.detection.score_tables import Ints
from aqi_dagster.pipeline.detection.state_pickles import PICKLE_PROTOCOL

Bytes = npt.NDArray[np.uint8]

MAX_COUNT = 255
"""Highest number that a pickle keeps in one byte."""

_TRUE, _FALSE = pickle.NEWTRUE[0], pickle.NEWFALSE[0]


class Counts(NamedTuple):
    """The numbers in which detectors of one configuration differ, a row for each detector.

    ``l_masses`` and ``r_masses`` have the shape (detectors, nodes), in River's order of nodes, tree by tree.
    """

    l_masses: Ints
    r_masses: Ints
    counters: Ints
    in_first_window: npt.NDArray[np.bool_]


class PickleLayout:
    """The places of all counts in the pickles of detectors like ``blank``, whose own counts are all 0."""

    def __init__(self, blank: HalfSpaceTrees) -> None:
        self._blank = _pickled(blank)
        blank.counter = 1
        [self._counter_place] = self._changes(blank)
        blank.counter = 0
        blank._first_window = False
        [self._first_window_place] = self._changes(blank)
        blank._first_window = True
        nodes = list(chain.from_iterable(blank._tree_nodes))
        self._n_nodes = len(nodes)

        def write(masses: Ints) -> None:
            for node, l_mass, r_mass in zip(nodes, *masses.reshape(2, -1).tolist(), strict=True):
                node.l_mass, node.r_mass = l_mass, r_mass

        numbers = np.arange(2 * len(nodes))
        write(np.ones_like(numbers))
        places = self._changes(blank)
        # To learn which mass each place holds, every mass is set to its own number, one bit after the other.
        numbers_at_places = np.zeros_like(numbers)
        for bit in range(len(numbers).bit_length()):
            write(numbers >> bit & 1)
            numbers_at_places |= _pickled(blank)[places].astype(np.intp) << bit
        write(np.zeros_like(numbers))
        self._mass_places = np.empty_like(numbers)
        self._mass_places[numbers_at_places] = places
        self._fixed = np.ones(len(self._blank), bool)
        self._fixed[[*places, self._counter_place, self._first_window_place]] = False

    def encode(self, counts: Counts) -> list[bytes]:
        """The pickles of detectors that hold ``counts``."""
        pickles = np.tile(self._blank, (len(counts.counters), 1))
        pickles[:, self._mass_places] = np.hstack([counts.l_masses, counts.r_masses])
        pickles[:, self._counter_place] = counts.counters
        pickles[:, self._first_window_place] = np.where(counts.in_first_window, _TRUE, _FALSE)
        return [row.tobytes() for row in pickles]

    def fits(self, pickled: bytes) -> bool:
        """Whether ``pickled`` differs from the pickle of ``blank`` in the counts alone."""
        content = np.frombuffer(pickled, np.uint8)
        return (
            len(content) == len(self._blank)
            and bool((content == self._blank)[self._fixed].all())
            and content[self._first_window_place] in (_TRUE, _FALSE)
        )

    def decode(self, pickles: list[bytes]) -> Counts:
        """The counts in ``pickles``, each of which must be one that :meth:`fits` accepts."""
        rows = np.frombuffer(b"".join(pickles), np.uint8).reshape(len(pickles), -1)
        l_masses, r_masses = np.hsplit(rows[:, self._mass_places].astype(np.intp), 2)
        return Counts(
            l_masses, r_masses, rows[:, self._counter_place].astype(np.intp), rows[:, self._first_window_place] == _TRUE
        )

    def _changes(self, detector: HalfSpaceTrees) -> list[int]:
        return np.flatnonzero(_pickled(detector) != self._blank).tolist()


def _pickled(detector: HalfSpaceTrees) -> Bytes:
    return np.frombuffer(pickle.dumps(detector, protocol=PICKLE_PROTOCOL), np.uint8)
