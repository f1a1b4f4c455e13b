"""Detectors that have learned, and their states as they are stored."""

import pickle
from random import Random
from typing import Any

import pytest
from river.anomaly import HalfSpaceTrees

from aqi_dagster.errors import DetectorStateError
from aqi_dagster.pipeline.detection.detector_states import FORMAT_VERSION, RIVER_VERSION, StoredState
from aqi_dagster.pipeline.detection.detectors import DetectorParameters, new_detector, score_and_learn
from aqi_dagster.pipeline.detection.state_pickles import PICKLE_PROTOCOL, compressor, load_state
from tests.support.messages import FIRST_WINDOW

PARAMETERS = DetectorParameters()


SENSOR = "45.5, -122.6"


def series(length: int, seed: int = 1) -> list[float]:
    """PM2.5 around 20 ug/m3 with now and then a plume."""
    random = Random(seed)  # noqa: S311 (no secret)
    return [random.uniform(0, 40) + (random.random() < 0.05) * random.uniform(100, 900) for _ in range(length)]


def learned(parameters: DetectorParameters = PARAMETERS, readings: int = 130) -> HalfSpaceTrees:
    """A detector that has learned some readings."""
    detector = new_detector(parameters)
    score_and_learn(detector, series(readings))
    return detector


def stored(detector: Any, parameters: DetectorParameters = PARAMETERS) -> StoredState:
    return stored_pickle(pickle.dumps(detector, protocol=PICKLE_PROTOCOL), parameters)


def stored_pickle(pickled: bytes, parameters: DetectorParameters = PARAMETERS) -> StoredState:
    state = compressor(parameters)(pickled)
    return StoredState(SENSOR, FIRST_WINDOW, state, FORMAT_VERSION, RIVER_VERSION, parameters.hash())


def refusal(state: StoredState, parameters: DetectorParameters = PARAMETERS) -> str:
    with pytest.raises(DetectorStateError) as refused:
        load_state(state, parameters)
    text = str(refused.value)
    assert f"sensor '{SENSOR}' after window 2022-07-18T00:00" in text
    assert "materialize all windows from the first scored one" in text
    return text
