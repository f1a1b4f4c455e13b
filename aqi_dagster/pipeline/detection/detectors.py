"""One anomaly detector per sensor: River's HalfSpaceTrees on PM2.5.

As in the streaming notebook, a detector scores a reading first and learns it then. S. C. Tan, K. M. Ting and T. F. Liu,
"Fast anomaly detection for streaming data", IJCAI 2011, describe the trees.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from aqi_dagster import defaults

if TYPE_CHECKING:
    from river.anomaly import HalfSpaceTrees

FEATURE = "x"
"""Name under which a detector sees PM2.5; part of every stored state."""


@dataclass(frozen=True)
class DetectorParameters:
    """Parameters of every sensor's HalfSpaceTrees; the defaults are the notebook's.

    ``lower_limit`` and ``upper_limit`` bound the PM2.5 range that the trees divide, in ug/m3; ``window_size`` counts
    readings.
    """

    n_trees: int = defaults.DETECTOR_N_TREES
    height: int = defaults.DETECTOR_HEIGHT
    window_size: int = defaults.DETECTOR_WINDOW_SIZE
    seed: int = defaults.DETECTOR_SEED
    lower_limit: float = defaults.DETECTOR_LOWER_LIMIT
    upper_limit: float = defaults.DETECTOR_UPPER_LIMIT

    def hash(self) -> str:
        """SHA-256 of all parameters, hexadecimal."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def new_detector(parameters: DetectorParameters) -> "HalfSpaceTrees":
    """A detector that has learned no reading yet."""
    # Not imported above: it takes a second, and who only asks for parameters need not wait.
    from river.anomaly import HalfSpaceTrees

    return HalfSpaceTrees(
        n_trees=parameters.n_trees,
        height=parameters.height,
        window_size=parameters.window_size,
        seed=parameters.seed,
        limits={FEATURE: (parameters.lower_limit, parameters.upper_limit)},
    )


def score_and_learn(detector: "HalfSpaceTrees", values: Iterable[float]) -> list[float]:
    """Score each value (PM2.5, ug/m3) and then learn it, in order; returns the scores.

    >>> score_and_learn(new_detector(DetectorParameters(window_size=2)), [5.0, 5.0, 900.0])
    [0, 0, 0.9333333333333333]
    """
    scores = []
    for value in values:
        features = {FEATURE: value}
        scores.append(detector.score_one(features))
        detector.learn_one(features)
    return scores
