"""One anomaly detector per sensor: River's HalfSpaceTrees on PM2.5, and how its state is kept.

The rule is the streaming notebook's: a reading is first scored, then learned. S. C. Tan, K. M. Ting and T. F. Liu,
"Fast anomaly detection for streaming data", IJCAI 2011, describe the trees.
"""

import hashlib
import io
import json
import pickle
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

from river.anomaly import HalfSpaceTrees

from aqi_dagster.errors import DetectorStateError
from aqi_dagster.windows import window_key

FEATURE = "x"
"""Name under which a detector sees PM2.5; part of every stored state."""

FORMAT_VERSION = 1
"""How a state is stored: 1 is a zlib-compressed pickle, protocol 5."""

RIVER_VERSION = version("river")

_PICKLE_PROTOCOL = 5

_ALLOWED_GLOBALS = frozenset(
    [
        ("river.anomaly.hst", "HalfSpaceTrees"),
        ("river.tree.padded", "PaddedBranch"),
        ("river.tree.padded", "PaddedLeaf"),
        ("collections", "defaultdict"),
        ("functools", "partial"),
        ("builtins", "tuple"),
        ("random", "Random"),
    ]
)
"""Everything that the pickle of a HalfSpaceTrees names; none of it runs code of the pickle's choosing."""


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


def store_state(
    sensor: str, window_start: datetime, detector: HalfSpaceTrees, parameters: DetectorParameters
) -> StoredState:
    """The row that keeps ``detector`` as the window leaves it."""
    state = zlib.compress(pickle.dumps(detector, protocol=_PICKLE_PROTOCOL), level=1)
    return StoredState(sensor, window_start, state, FORMAT_VERSION, RIVER_VERSION, parameters.hash())


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

    Raises :class:`DetectorStateError` if its bytes are not the pickle of a detector with these parameters.
    """
    try:
        detector = _Unpickler(io.BytesIO(zlib.decompress(stored.state))).load()
        _check(detector, parameters)
    except Exception as error:
        raise DetectorStateError(
            f"{_title(stored)} is not the pickle of such a detector ({type(error).__name__}: {error}): it was "
            "damaged or tampered with and was not used. Restore the store from a backup, or materialize all windows "
            "from the first scored one to the newest in one run."
        ) from error
    return detector


def _title(stored: StoredState) -> str:
    return f"The detector state of sensor {stored.sensor!r} after window {window_key(stored.window_start)}"


class _Unpickler(pickle.Unpickler):
    """Loads only what a HalfSpaceTrees is made of."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED_GLOBALS:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a detector")
        return super().find_class(module, name)


def _check(detector: Any, parameters: DetectorParameters) -> None:
    if type(detector) is not HalfSpaceTrees:
        raise pickle.UnpicklingError(f"it holds a {type(detector).__name__}")
    found = (detector.n_trees, detector.height, detector.window_size, detector.seed, detector.limits[FEATURE])
    limits = (parameters.lower_limit, parameters.upper_limit)
    if found != (parameters.n_trees, parameters.height, parameters.window_size, parameters.seed, limits):
        raise pickle.UnpicklingError(f"its parameters are {found}")
