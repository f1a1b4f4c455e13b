"""Scoring alone, without database or broker: River's objects in a loop over readings, and all detectors at once."""

import time
from itertools import pairwise

import numpy as np

from aqi_dagster.pipeline.detection.detector_banks import DetectorBank, LoopBank, TableBank
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.detection.score_tables import Floats
from aqi_dagster.windows import WINDOW_LENGTH
from benchmarks import generator
from benchmarks.measuring import Figures


def run(readings: int, sensors: int) -> dict[str, Figures]:
    """Seconds to score and learn ``readings`` window by window, and to pickle and compress each window's detectors.

    Raises :class:`RuntimeError` unless both give the same scores and the same pickles.
    """
    count = readings // sensors
    values = np.random.default_rng(7).gamma(4.0, 2.0, (sensors, count))
    values[:, ::97] += 400
    parameters = DetectorParameters()
    banks: dict[str, DetectorBank] = {"River's loop": LoopBank(parameters), "all at once": TableBank(parameters)}
    figures, results = {}, []
    for name, bank in banks.items():
        score_seconds, state_seconds, result = _score(bank, values)
        figures[name] = {"score": score_seconds, "states": state_seconds}
        results.append(result)
    if results[0] != results[1]:
        raise RuntimeError("scoring all at once gave other scores or pickles than River's loop")
    return figures


def _score(bank: DetectorBank, values: Floats) -> tuple[float, float, list[bytes]]:
    sensors, count = values.shape
    numbers = range(sensors)
    bank.add([None] * sensors)
    score_seconds = state_seconds = 0.0
    result = []
    bounds = [*range(0, count, WINDOW_LENGTH // generator.CADENCE), count]
    for begin, end in pairwise(bounds):
        window = values[:, begin:end].ravel()
        started = time.perf_counter()
        scores = bank.score_and_learn(numbers, [end - begin] * sensors, window)
        scored = time.perf_counter()
        states = bank.states(numbers)
        state_seconds += time.perf_counter() - scored
        score_seconds += scored - started
        result += [scores.tobytes(), *states]
    return score_seconds, state_seconds, result
