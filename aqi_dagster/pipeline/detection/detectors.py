"""One anomaly detector per sensor: River's HalfSpaceTrees on PM2.5, and how its state is kept.

The rule is the streaming notebook's: a reading is first scored, then learned. S. C. Tan, K. M. Ting and T. F. Liu,
"Fast anomaly detection for streaming data", IJCAI 2011, describe the trees.
"""

import hashlib
import json
import pickle
import zlib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import version
from itertools import chain

from river.anomaly import HalfSpaceTrees

from aqi_dagster.errors import DetectorStateError
from aqi_dagster.windows import window_key

FEATURE = "x"
"""Name under which a detector sees PM2.5; part of every stored state."""

FORMAT_VERSION = 2
"""How a state is stored: 2 is a zlib-compressed pickle, protocol 5, with :func:`blank_pickle` as the dictionary."""

RIVER_VERSION = version("river")

PICKLE_PROTOCOL = 5

_LOOK_AHEAD = 262
"""Bytes by which zlib looks back less far than its window is long (MIN_LOOKAHEAD of its source)."""

_LONGEST = 3
"""How many times as long as another one a pickle may be: with the largest counts it stays well below."""

_MARK = 2**38 + 1
"""Stands for each count in a layout; no number of a genuine pickle is as large."""

_COUNT_LENGTHS = {pickle.BININT1: 2, pickle.BININT2: 3, pickle.BININT: 5, pickle.NEWTRUE: 1, pickle.NEWFALSE: 1}
"""Bytes that a count takes in a pickle, by its opcode."""


@dataclass(frozen=True)
class DetectorParameters:
    """Parameters of every sensor's HalfSpaceTrees; the defaults are the notebook's.

    ``lower_limit`` and ``upper_limit`` bound the PM2.5 range that the trees divide, in ug/m3; ``window_size`` counts
    readings.
    """

    n_trees: int = 4
    height: int = 3
    window_size: int = 50
    seed: int = 11
    lower_limit: float = 0.0
    upper_limit: float = 1200.0

    def hash(self) -> str:
        """SHA-256 of the parameters, hexadecimal: equal exactly if all of them are."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class StoredState:
    """A row of ``detector_states``."""

    sensor: str
    window_start: datetime
    state: bytes
    format_version: int
    river_version: str
    parameters_hash: str


def new_detector(parameters: DetectorParameters) -> HalfSpaceTrees:
    """A detector that has seen nothing yet."""
    return HalfSpaceTrees(
        n_trees=parameters.n_trees,
        height=parameters.height,
        window_size=parameters.window_size,
        seed=parameters.seed,
        limits={FEATURE: (parameters.lower_limit, parameters.upper_limit)},
    )


def score_and_learn(detector: HalfSpaceTrees, values: Iterable[float]) -> list[float]:
    """Score each value (PM2.5, ug/m3) and then learn it, in order; the detector moves on.

    >>> score_and_learn(new_detector(DetectorParameters(window_size=2)), [5.0, 5.0, 900.0])
    [0, 0, 0.9333333333333333]
    """
    scores = []
    for value in values:
        features = {FEATURE: value}
        scores.append(detector.score_one(features))
        detector.learn_one(features)
    return scores


def blank_detector(parameters: DetectorParameters) -> HalfSpaceTrees:
    """A detector that has its trees, which River draws with the first reading, but has counted nothing."""
    detector = new_detector(parameters)
    detector.learn_one({FEATURE: 0.0})
    for node in chain.from_iterable(detector._tree_nodes):
        node.l_mass = node.r_mass = 0
    detector.counter = 0
    detector._first_window = True
    return detector


@cache
def blank_pickle(parameters: DetectorParameters) -> bytes:
    """The pickle of a :func:`blank_detector`: what all such detectors have in common, 19 bytes of 20."""
    return pickle.dumps(blank_detector(parameters), protocol=PICKLE_PROTOCOL)


def compressor(parameters: DetectorParameters) -> Callable[[bytes], bytes]:
    """What compresses the pickle of a detector with ``parameters`` for its row in ``detector_states``."""
    blank = blank_pickle(parameters)
    # What a stream holds is copied for each state: no more of it than to look back as far as the blank pickle is long.
    window_bits = min(max((len(blank) + _LOOK_AHEAD).bit_length(), 9), zlib.MAX_WBITS)
    empty = zlib.compressobj(level=2, wbits=window_bits, memLevel=5, zdict=blank)

    def compress(pickled: bytes) -> bytes:
        stream = empty.copy()
        return stream.compress(pickled) + stream.flush()

    return compress


def decompress(stored: StoredState, parameters: DetectorParameters) -> bytes:
    """The pickle that ``stored`` keeps; raises :class:`DetectorStateError` if its bytes hold none, or one too long."""
    limit = _LONGEST * len(blank_pickle(parameters))
    try:
        stream = zlib.decompressobj(zdict=blank_pickle(parameters))
        pickled = stream.decompress(stored.state, limit)
    except zlib.error as error:
        raise damaged(stored, str(error)) from None
    if not stream.eof or stream.unused_data:
        raise damaged(stored, f"it is cut off, or longer than {limit} bytes")
    return pickled


def require_same_parameters(stored: StoredState, parameters: DetectorParameters) -> None:
    """Raise :class:`DetectorStateError` if ``stored`` is of another format, River release or parameters."""
    expected = (FORMAT_VERSION, RIVER_VERSION, parameters.hash())
    if (stored.format_version, stored.river_version, stored.parameters_hash) != expected:
        raise DetectorStateError(
            f"{_title(stored)} was stored in format {stored.format_version} by river {stored.river_version} with "
            f"parameters {stored.parameters_hash[:12]}; now it is format {expected[0]}, river {expected[1]}, "
            f"parameters {expected[2][:12]}. Either go back to that release and those AQI_DETECTOR_* settings, or "
            "compute all scores anew: materialize all windows from the first scored one to the newest in one run."
        )


def load_state(stored: StoredState, parameters: DetectorParameters) -> HalfSpaceTrees:
    """The detector that ``stored`` keeps.

    Nothing is unpickled before its bytes were seen to be those of a detector with these parameters, but for its counts
    of readings: so a state can neither run code nor change a class, and counts are all that tampering can change.
    Raises :class:`DetectorStateError` otherwise.
    """
    opcodes = _without_frames(decompress(stored, parameters))
    try:
        _require_layout(opcodes, _layout(parameters))
        detector: HalfSpaceTrees = pickle.loads(opcodes)  # noqa: S301 (they are our own, but for the counts)
        _require_counts(detector)
    except Exception as error:
        raise damaged(stored, f"{type(error).__name__}: {error}") from error
    return detector


def damaged(stored: StoredState, reason: str) -> DetectorStateError:
    """The error that tells that ``stored`` cannot be used."""
    return DetectorStateError(
        f"{_title(stored)} is not the pickle of such a detector ({reason}): it was damaged or tampered with and was "
        "not used. Restore the store from a backup, or materialize all windows from the first scored one to the "
        "newest in one run."
    )


def _title(stored: StoredState) -> str:
    return f"The detector state of sensor {stored.sensor!r} after window {window_key(stored.window_start)}"


@cache
def _layout(parameters: DetectorParameters) -> list[bytes]:
    """What stands before, between and behind the counts in the pickle of any detector that has its trees.

    The counts are the masses of the nodes, the counter, and whether it is in its first window.
    """
    detector = blank_detector(parameters)
    vars(detector).update(counter=_MARK, _first_window=_MARK)
    for node in chain.from_iterable(detector._tree_nodes):
        node.l_mass = node.r_mass = _MARK
    mark = pickle.LONG1 + b"\x05" + _MARK.to_bytes(5, "little")
    return _without_frames(pickle.dumps(detector, protocol=PICKLE_PROTOCOL)).split(mark)


def _without_frames(pickled: bytes) -> bytes:
    """The opcodes of ``pickled``, which pickle packs into frames of some 64 KiB."""
    parts = []
    place = 2  # behind the protocol
    while pickled.startswith(pickle.FRAME, place):
        begin = place + 9
        place = begin + int.from_bytes(pickled[place + 1 : begin], "little")
        parts.append(pickled[begin:place])
    return b"".join([pickled[:2], *parts, pickled[place:]])


def _require_layout(opcodes: bytes, layout: list[bytes]) -> None:
    *pieces, last = layout
    place = 0
    for piece in pieces:
        behind = place + len(piece)
        length = _COUNT_LENGTHS.get(opcodes[behind : behind + 1])
        if length is None or not opcodes.startswith(piece, place):
            raise pickle.UnpicklingError(f"it departs from the layout of a detector behind byte {place}")
        place = behind + length
    if opcodes[place:] != last:
        raise pickle.UnpicklingError(f"it does not end as a detector after byte {place}")


def _require_counts(detector: HalfSpaceTrees) -> None:
    """Raise if a number stands for the flag or the other way round, or if a count is none."""
    masses = [mass for node in chain.from_iterable(detector._tree_nodes) for mass in (node.l_mass, node.r_mass)]
    counts = [detector.counter, *masses]
    if {type(count) for count in counts} != {int} or min(counts) < 0 or type(detector._first_window) is not bool:
        raise pickle.UnpicklingError("its counts are none")
    # Scoring reserves memory by the counter.
    if detector.counter >= detector.window_size:
        raise pickle.UnpicklingError(f"its counter is {detector.counter}")
