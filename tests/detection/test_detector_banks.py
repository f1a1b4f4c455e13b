"""Batch scoring against River's own loop: equal scores, equal detectors, equal pickles."""

import copy
import gzip
import json
import math
import pickle
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from river import base
from river.anomaly import HalfSpaceTrees

from aqi_dagster.errors import DetectorStateError
from aqi_dagster.pipeline.detection import detector_banks as batch_scoring
from aqi_dagster.pipeline.detection.detector_banks import LoopBank, detector_bank
from aqi_dagster.pipeline.detection.detector_states import FORMAT_VERSION, RIVER_VERSION, StoredState
from aqi_dagster.pipeline.detection.detectors import DetectorParameters, new_detector, score_and_learn
from aqi_dagster.pipeline.detection.state_pickles import compressor, decompress, load_state
from tests.support.lacking import lacking
from tests.support.messages import FIRST_WINDOW
from tests.support.places import SHARED

PORTLAND = SHARED / "data" / "portland_2020_native.ndjson.gz"


def anatomy(thing: Any) -> Any:
    """Every field of a detector and its nodes, with its type: an int is no float."""
    if isinstance(thing, base.Base):
        return type(thing), [(name, anatomy(value)) for name, value in vars(thing).items()]
    if isinstance(thing, list | tuple):
        return type(thing), [anatomy(item) for item in thing]
    if isinstance(thing, dict):
        return type(thing), [(anatomy(key), anatomy(value)) for key, value in thing.items()]
    if isinstance(thing, random.Random):
        return type(thing), thing.getstate()
    return type(thing), thing


def nodes_of(detector: HalfSpaceTrees) -> list[Any]:
    return list(chain.from_iterable(tree.iter_dfs() for tree in detector.trees))


def thresholds_of(detector: HalfSpaceTrees) -> list[float]:
    """The thresholds that ``detector`` has or will have."""
    grown = copy.deepcopy(detector)
    score_and_learn(grown, [0.0])
    return sorted(node.threshold for node in nodes_of(grown) if hasattr(node, "threshold"))


def stored(state: bytes, parameters: DetectorParameters) -> StoredState:
    return StoredState("45.5, -122.6", FIRST_WINDOW, state, FORMAT_VERSION, RIVER_VERSION, parameters.hash())


def assert_same_as_loop(parameters: DetectorParameters, batches: Sequence[Sequence[Sequence[float]]]) -> None:
    """Feed ``batches[k][i]`` to detector i in turn, with a bank, with one that is stored in between, and with River."""
    rivers = [new_detector(parameters) for _ in batches[0]]
    bank, resumed = detector_bank(parameters), detector_bank(parameters)
    bank.add([None] * len(rivers))
    resumed.add([None] * len(rivers))
    learned: set[int] = set()
    for batch in batches:
        expected = [score_and_learn(river, values) for river, values in zip(rivers, batch, strict=True)]
        numbers = [number for number, values in enumerate(batch) if values]
        lengths = [len(values) for values in batch if values]
        values = np.array([*chain.from_iterable(batch)], np.float64)
        for each in (bank, resumed):
            assert each.score_and_learn(numbers, lengths, values).tolist() == [*chain.from_iterable(expected)]
        learned |= {*numbers}
        states = dict(zip(sorted(learned), bank.states(sorted(learned)), strict=True))
        for number, state in states.items():
            pickled = decompress(stored(state, parameters), parameters)
            assert pickled == pickle.dumps(rivers[number], protocol=5)
            assert anatomy(load_state(stored(state, parameters), parameters)) == anatomy(rivers[number])
        resumed = detector_bank(parameters)
        resumed.add([stored(states[n], parameters) if n in states else None for n in range(len(rivers))])


def readings(count: int, seed: int = 1) -> list[float]:
    """Clean air with some smoke."""
    generator = np.random.default_rng(seed)
    values = np.where(generator.random(count) < 0.9, generator.gamma(1.2, 12, count), generator.uniform(0, 1500, count))
    return [round(value, 2) for value in values.tolist()]


@pytest.fixture
def only_tables() -> Iterator[None]:
    with mock.patch.object(batch_scoring, "LoopBank", side_effect=AssertionError("the loop was taken")):
        yield


@st.composite
def parameter_sets(draw: st.DrawFn) -> DetectorParameters:
    lower = draw(st.sampled_from([0.0, -5.0, 0.1, 1e9]))
    return DetectorParameters(
        n_trees=draw(st.integers(1, 6)),
        height=draw(st.integers(0, 5)),
        window_size=draw(st.integers(1, 8) | st.sampled_from([20, 50, 255, 256, 1000])),
        seed=draw(st.integers(0, 3)),
        lower_limit=lower,
        upper_limit=lower + draw(st.sampled_from([1200.0, 1.0, 1e-3, 1e12])),
    )


def values_for(parameters: DetectorParameters) -> st.SearchStrategy[float]:
    """Readings inside and outside the limits, on a threshold and next to it."""
    lower, upper = parameters.lower_limit, parameters.upper_limit
    edges = [lower, upper, 0.0, -0.0, math.inf, -math.inf, math.nan]
    for threshold in thresholds_of(new_detector(parameters)):
        edges += [threshold, math.nextafter(threshold, -math.inf), math.nextafter(threshold, math.inf)]
    return st.sampled_from(edges) | st.floats(2 * lower - upper, 2 * upper - lower) | st.floats()


@st.composite
def situations(draw: st.DrawFn) -> tuple[DetectorParameters, list[list[list[float]]]]:
    """Parameters, and what several detectors with them read in several batches."""
    parameters = draw(parameter_sets())
    series = []
    for _ in range(draw(st.integers(1, 4))):
        history = readings(draw(st.integers(0, 300)), seed=draw(st.integers(0, 9)))
        series.append(history + draw(st.lists(values_for(parameters), max_size=80)))
    n_cuts = draw(st.integers(0, 3))
    batches: list[list[list[float]]] = [[] for _ in range(n_cuts + 1)]
    for values in series:
        cuts = [0, *sorted(draw(st.integers(0, len(values))) for _ in range(n_cuts)), len(values)]
        for batch, (begin, end) in zip(batches, pairwise(cuts), strict=True):
            batch.append(values[begin:end])
    return parameters, batches


@pytest.mark.usefixtures("only_tables")
@given(situations())
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_equals_rivers_loop(situation: tuple[DetectorParameters, list[list[list[float]]]]) -> None:
    assert_same_as_loop(*situation)


@pytest.mark.usefixtures("only_tables")
@pytest.mark.parametrize(
    ("n_trees", "height", "window_size"), [(4, 3, 50), (10, 6, 250), (1, 0, 7), (60, 3, 100), (1, 8, 400)]
)
def test_long_series(n_trees: int, height: int, window_size: int) -> None:
    parameters = DetectorParameters(n_trees=n_trees, height=height, window_size=window_size)
    series = [readings(count, seed=count) for count in (3000, 1501, 999, 0)]
    assert_same_as_loop(parameters, [series, [[], *series[:-1]]])


@pytest.mark.usefixtures("only_tables")
def test_series_larger_than_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_scoring, "_TABLE_SIZE", 400)
    series = [readings(count, seed=count) for count in (3000, 20, 700, 1, 250, 240)]
    assert_same_as_loop(DetectorParameters(), [series, series[::-1]])


@pytest.mark.usefixtures("only_tables")
@pytest.mark.skipif(not PORTLAND.exists(), reason=lacking(PORTLAND))
def test_portland() -> None:
    by_sensor = defaultdict(list)
    with gzip.open(PORTLAND, "rt") as file:
        for line in file:
            message = json.loads(line)
            by_sensor[message["key"]].append(float(message["value"]["PM2.5_CF1_ug/m3"]))
    pieces = [[part.tolist() for part in np.array_split(np.array(values), 20)] for values in by_sensor.values()]
    assert_same_as_loop(DetectorParameters(), [[*by_sensor.values()]])
    assert_same_as_loop(DetectorParameters(), [[*batch] for batch in zip(*pieces, strict=True)])


@pytest.mark.usefixtures("only_tables")
def test_detectors_are_fed_in_any_order() -> None:
    bank = detector_bank(DetectorParameters())
    bank.add([None, None])
    bank.add([None])
    series = [np.array(readings(400, seed)) for seed in range(3)]
    scores = bank.score_and_learn([2, 0, 1], [400] * 3, np.concatenate([series[2], series[0], series[1]]))
    expected = [score_and_learn(new_detector(DetectorParameters()), series[seed].tolist()) for seed in (2, 0, 1)]
    assert scores.tolist() == [*chain.from_iterable(expected)]


def test_no_detectors() -> None:
    bank = detector_bank(DetectorParameters())
    bank.add([])
    assert bank.score_and_learn([], [], np.array([])).tolist() == []
    assert bank.states([]) == []


@pytest.mark.parametrize(
    ("constant", "limit", "reason"),
    [
        ("RIVER_VERSION", "0.27.0", "river is 0.27.0, and tables are known to equal 0.26.1 only"),
        ("_MAX_LEAVES", 30, "32 leaves are more than 30"),
        ("_MAX_MASS", 3000, "masses may exceed 3000"),
    ],
)
def test_what_tables_do_not_fit_takes_the_loop(
    constant: str, limit: Any, reason: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(batch_scoring, constant, limit)
    assert isinstance(detector_bank(DetectorParameters()), LoopBank)
    assert caplog.messages == [f"Scoring reading by reading, which is slower: {reason}"]
    assert_same_as_loop(DetectorParameters(), [[readings(200), []], [readings(3), readings(80)]])


@pytest.mark.parametrize("window_size", [50, 1000])
@pytest.mark.parametrize("change", ["mass", "counter", "window", "thresholds"])
def test_a_state_that_contradicts_itself_is_refused(window_size: int, change: str) -> None:
    parameters = DetectorParameters(window_size=window_size)
    detector = new_detector(parameters)
    score_and_learn(detector, readings(130))
    if change == "mass":
        detector.trees[1].children[0].l_mass += 1
    elif change == "counter":
        detector.counter += 1
    elif change == "window":
        detector._first_window = None
    else:
        detector.trees[0].threshold += 1
    state = compressor(parameters)(pickle.dumps(detector, protocol=5))
    with pytest.raises(DetectorStateError, match=r"sensor '45\.5, -122\.6' after window 2022-07-18T00:00 is not the"):
        detector_bank(parameters).add([None, stored(state, parameters)])
