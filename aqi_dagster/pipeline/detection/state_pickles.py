"""Detectors as bytes: compressed pickles, which are checked before they are loaded."""

import pickle
import zlib
from collections.abc import Callable
from functools import cache
from itertools import chain

from river.anomaly import HalfSpaceTrees

from aqi_dagster.errors import DetectorStateError
from aqi_dagster.pipeline.detection.detector_states import StoredState, state_title
from aqi_dagster.pipeline.detection.detectors import FEATURE, DetectorParameters, new_detector

PICKLE_PROTOCOL = 5

_LOOK_AHEAD = 262
"""Bytes at the end of its window that zlib does not search for repetitions (MIN_LOOKAHEAD in its source)."""

_MAX_RATIO = 3
"""Greatest length of a pickle, in lengths of a blank one: the largest counts stay well below it."""

_MARK = 2**38 + 1
"""Stands for each count in a layout; no number of a genuine pickle is as large."""

_COUNT_LENGTHS = {pickle.BININT1: 2, pickle.BININT2: 3, pickle.BININT: 5, pickle.NEWTRUE: 1, pickle.NEWFALSE: 1}
"""Bytes that a count takes in a pickle, by its opcode."""


def blank_detector(parameters: DetectorParameters) -> HalfSpaceTrees:
    """A detector with trees, which River draws at the first reading, but with all counts at 0."""
    detector = new_detector(parameters)
    detector.learn_one({FEATURE: 0.0})
    for node in chain.from_iterable(detector._tree_nodes):
        node.l_mass = node.r_mass = 0
    detector.counter = 0
    detector._first_window = True
    return detector


@cache
def blank_pickle(parameters: DetectorParameters) -> bytes:
    """The pickle of a :func:`blank_detector`, which has 19 of 20 bytes in common with that of any such detector."""
    return pickle.dumps(blank_detector(parameters), protocol=PICKLE_PROTOCOL)


def compressor(parameters: DetectorParameters) -> Callable[[bytes], bytes]:
    """Return the function that compresses the pickle of a detector with ``parameters`` for ``detector_states``."""
    blank = blank_pickle(parameters)
    # Each state copies the stream's buffers, so they are just large enough to look back over the whole blank pickle.
    window_bits = min(max((len(blank) + _LOOK_AHEAD).bit_length(), 9), zlib.MAX_WBITS)
    empty = zlib.compressobj(level=2, wbits=window_bits, memLevel=5, zdict=blank)

    def compress(pickled: bytes) -> bytes:
        stream = empty.copy()
        return stream.compress(pickled) + stream.flush()

    return compress


def decompress(row: StoredState, parameters: DetectorParameters) -> bytes:
    """The pickle in ``row``; raises :class:`DetectorStateError` if its bytes are no pickle, or one too long."""
    limit = _MAX_RATIO * len(blank_pickle(parameters))
    try:
        stream = zlib.decompressobj(zdict=blank_pickle(parameters))
        pickled = stream.decompress(row.state, limit)
    except zlib.error as error:
        raise damaged(row, str(error)) from None
    if not stream.eof or stream.unused_data:
        raise damaged(row, f"it is cut off, or longer than {limit} bytes")
    return pickled


def load_state(row: StoredState, parameters: DetectorParameters) -> HalfSpaceTrees:
    """The detector in ``row``.

    Its bytes are unpickled only if they equal those of a detector with these parameters everywhere but in the counts.
    So a state can neither run code nor change a class, and tampering can change nothing but counts. Raises
    :class:`DetectorStateError` if the bytes differ elsewhere.
    """
    opcodes = _without_frames(decompress(row, parameters))
    try:
        _require_layout(opcodes, _layout(parameters))
        detector: HalfSpaceTrees = pickle.loads(opcodes)  # noqa: S301 (they are our own, but for the counts)
        _require_counts(detector)
    except Exception as error:
        raise damaged(row, f"{type(error).__name__}: {error}") from error
    return detector


def damaged(row: StoredState, reason: str) -> DetectorStateError:
    """The error that says that ``row`` cannot be used, and why."""
    return DetectorStateError(
        f"{state_title(row)} is not the pickle of such a detector ({reason}): it was damaged or tampered with and "
        "was not used. Restore the store from a backup, or materialize all windows from the first scored one to the "
        "newest in one run."
    )


@cache
def _layout(parameters: DetectorParameters) -> list[bytes]:
    """The bytes before, between and behind the counts in the pickle of any detector that has its trees.

    The counts are the masses of the nodes, the counter, and the flag of the first window.
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
    """Raise unless the flag is a bool, every count is an int of 0 or more, and the counter is within the window."""
    masses = [mass for node in chain.from_iterable(detector._tree_nodes) for mass in (node.l_mass, node.r_mass)]
    counts = [detector.counter, *masses]
    if {type(count) for count in counts} != {int} or min(counts) < 0 or type(detector._first_window) is not bool:
        raise pickle.UnpicklingError("its counts are none")
    # Scoring reserves memory by the counter.
    if detector.counter >= detector.window_size:
        raise pickle.UnpicklingError(f"its counter is {detector.counter}")
