"""Batch scoring against River's own loop: equal scores, equal detectors, equal pickles."""

import copy
import gzip
import json
import logging
import math
import pickle
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import base
from river.anomaly import HalfSpaceTrees

from aqi_dagster.pipeline import batch_scoring
from aqi_dagster.pipeline.batch_scoring import score_and_learn_all
from aqi_dagster.pipeline.detectors import FEATURE, DetectorParameters, new_detector, score_and_learn

PORTLAND = Path(__file__).parents[2] / "shared" / "data" / "portland_2020_native.ndjson.gz"

Detectors = list[HalfSpaceTrees]


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


def assert_equal_detectors(ours: Detectors, rivers: Detectors) -> None:
    for our, river in zip(ours, rivers, strict=True):
        assert anatomy(our) == anatomy(river)
        assert [*map(id, nodes_of(our))] == [*map(id, chain.from_iterable(our._tree_nodes))]
        assert pickle.dumps(our, protocol=5) == pickle.dumps(river, protocol=5)


def assert_same_as_loop(detectors: Detectors, batches: Sequence[Sequence[Sequence[float]]]) -> None:
    """Feed ``batches[k][i]`` to ``detectors[i]`` in turn, with tables and with River's loop."""
    rivers = copy.deepcopy(detectors)
    for batch in batches:
        expected = [score_and_learn(river, values) for river, values in zip(rivers, batch, strict=True)]
        found = score_and_learn_all(detectors, [np.array(values, dtype=np.float64) for values in batch])
        assert {scores.dtype for scores in found} <= {np.dtype(np.float64)}
        assert [scores.tolist() for scores in found] == expected
        assert_equal_detectors(detectors, rivers)


def readings(count: int, seed: int = 1) -> list[float]:
    """Clean air with some smoke."""
    generator = np.random.default_rng(seed)
    values = np.where(generator.random(count) < 0.9, generator.gamma(1.2, 12, count), generator.uniform(0, 1500, count))
    return [round(value, 2) for value in values.tolist()]


@pytest.fixture
def only_tables() -> Iterator[None]:
    with mock.patch.object(batch_scoring, "_loop", side_effect=AssertionError("the loop was taken")):
        yield


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    batch_scoring._log_once.cache_clear()
    caplog.set_level(logging.INFO, logger=batch_scoring.__name__)
    return caplog


@st.composite
def limits(draw: st.DrawFn) -> tuple[float, float]:
    lower = draw(st.sampled_from([0.0, -5.0, 0.1, 1e9]))
    return lower, lower + draw(st.sampled_from([1200.0, 1.0, 1e-3, 1e12]))


@st.composite
def new_detectors(draw: st.DrawFn) -> HalfSpaceTrees:
    lower, upper = draw(limits())
    parameters = DetectorParameters(
        n_trees=draw(st.integers(1, 6)),
        height=draw(st.integers(0, 5)),
        window_size=draw(st.integers(1, 8) | st.sampled_from([20, 50, 1000])),
        seed=draw(st.integers(0, 3)),
        lower_limit=lower,
        upper_limit=upper,
    )
    return new_detector(parameters)


def values_for(detector: HalfSpaceTrees) -> st.SearchStrategy[float]:
    """Readings inside and outside the limits, on a threshold and next to it."""
    lower, upper = detector.limits[FEATURE]
    edges = [lower, upper, 0.0, -0.0, math.inf, -math.inf, math.nan]
    for threshold in thresholds_of(detector):
        edges += [threshold, math.nextafter(threshold, -math.inf), math.nextafter(threshold, math.inf)]
    return st.sampled_from(edges) | st.floats(2 * lower - upper, 2 * upper - lower) | st.floats()


@st.composite
def situations(draw: st.DrawFn) -> tuple[Detectors, list[list[list[float]]]]:
    """Detectors, several of one configuration, that got differently far, and what each reads in several batches."""
    kinds = draw(st.lists(new_detectors(), min_size=1, max_size=3))
    detectors = [copy.deepcopy(kind) for kind in kinds for _ in range(draw(st.integers(1, 3)))]
    series = []
    for detector in detectors:
        score_and_learn(detector, readings(draw(st.integers(0, 70)), seed=draw(st.integers(0, 9))))
        series.append(draw(st.lists(values_for(detector), max_size=80)))
    n_cuts = draw(st.integers(0, 3))
    batches: list[list[list[float]]] = [[] for _ in range(n_cuts + 1)]
    for values in series:
        cuts = [0, *sorted(draw(st.integers(0, len(values))) for _ in range(n_cuts)), len(values)]
        for batch, (begin, end) in zip(batches, pairwise(cuts), strict=True):
            batch.append(values[begin:end])
    return detectors, batches


@given(situations())
@settings(max_examples=100, deadline=None)
def test_equals_rivers_loop(situation: tuple[Detectors, list[list[list[float]]]]) -> None:
    with (
        mock.patch.object(batch_scoring, "_loop", side_effect=AssertionError("the loop was taken")),
        mock.patch.object(batch_scoring, "_pays", return_value=True),
    ):
        assert_same_as_loop(*situation)


@pytest.mark.usefixtures("only_tables")
@pytest.mark.parametrize(
    ("n_trees", "height", "window_size"), [(4, 3, 50), (10, 6, 250), (1, 0, 7), (60, 3, 100), (1, 8, 400)]
)
def test_long_series(n_trees: int, height: int, window_size: int) -> None:
    parameters = DetectorParameters(n_trees=n_trees, height=height, window_size=window_size)
    series = [readings(count, seed=count) for count in (3000, 1501, 999, 0)]
    assert_same_as_loop([new_detector(parameters) for _ in series], [series, [[], *series[:-1]]])


@pytest.mark.usefixtures("only_tables")
def test_series_larger_than_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_scoring, "_TABLE_SIZE", 400)
    series = [readings(count, seed=count) for count in (3000, 20, 700, 1, 250, 240)]
    assert_same_as_loop([new_detector(DetectorParameters()) for _ in series], [series, series[::-1]])


@pytest.mark.usefixtures("only_tables")
def test_unseeded_detectors_share_nothing() -> None:
    detectors = [HalfSpaceTrees(n_trees=4, height=3, window_size=50, limits={FEATURE: (0.0, 1200.0)}) for _ in range(3)]
    assert_same_as_loop(detectors, [[readings(500)] * 3] * 2)


@pytest.mark.usefixtures("only_tables")
def test_continues_a_stored_detector() -> None:
    detectors = [new_detector(DetectorParameters()) for _ in range(3)]
    rivers = copy.deepcopy(detectors)
    for seed in range(5):
        series = [readings(72 + i, seed) for i in range(3)]
        expected = [score_and_learn(river, values) for river, values in zip(rivers, series, strict=True)]
        found = score_and_learn_all(detectors, [np.array(values) for values in series])
        assert [scores.tolist() for scores in found] == expected
        detectors, rivers = (pickle.loads(pickle.dumps(each)) for each in (detectors, rivers))  # noqa: S301
        assert_equal_detectors(detectors, rivers)


@pytest.mark.usefixtures("only_tables")
@pytest.mark.skipif(not PORTLAND.exists(), reason=f"{PORTLAND} is not there")
def test_portland() -> None:
    by_sensor = defaultdict(list)
    with gzip.open(PORTLAND, "rt") as file:
        for line in file:
            message = json.loads(line)
            by_sensor[message["key"]].append(float(message["value"]["PM2.5_CF1_ug/m3"]))
    series = list(by_sensor.values())
    rivers = [new_detector(DetectorParameters()) for _ in series]
    expected = [score_and_learn(river, values) for river, values in zip(rivers, series, strict=True)]

    detectors = [new_detector(DetectorParameters()) for _ in series]
    whole = score_and_learn_all(detectors, [np.array(values) for values in series])
    assert [scores.tolist() for scores in whole] == expected
    assert_equal_detectors(detectors, rivers)

    detectors = [new_detector(DetectorParameters()) for _ in series]
    pieces = [np.array_split(np.array(values), 120) for values in series]
    batches = [score_and_learn_all(detectors, batch) for batch in zip(*pieces, strict=True)]
    assert [np.concatenate(parts).tolist() for parts in zip(*batches, strict=True)] == expected
    assert_equal_detectors(detectors, rivers)


def test_no_detectors() -> None:
    assert score_and_learn_all([], []) == []


def test_without_readings_a_detector_stays_new() -> None:
    detector = new_detector(DetectorParameters())
    [scores] = score_and_learn_all([detector], [np.array([])])
    assert len(scores) == 0
    assert anatomy(detector) == anatomy(new_detector(DetectorParameters()))


def test_rejects_a_detector_without_series() -> None:
    with pytest.raises(ValueError, match="zip"):
        score_and_learn_all([new_detector(DetectorParameters())], [])


def test_rejects_a_detector_with_two_series() -> None:
    detector = new_detector(DetectorParameters())
    with pytest.raises(ValueError, match="is there twice"):
        score_and_learn_all([detector, detector], [np.array([1.0]), np.array([2.0])])


class OtherTrees(HalfSpaceTrees):
    """Scores differently."""

    def score_one(self, x: dict[str, float]) -> float:
        return 0.5 * super().score_one(x)


LIMITS = {FEATURE: (0.0, 1200.0)}


@pytest.mark.parametrize(
    ("detector", "reason"),
    [
        (OtherTrees(height=2, window_size=9, seed=1, limits=LIMITS), "OtherTrees is not HalfSpaceTrees"),
        (HalfSpaceTrees(height=2, window_size=9, seed=1), "no known feature"),
        (HalfSpaceTrees(height=2, window_size=9, seed=1, limits=LIMITS | {"y": (0, 1)}), "trees of 'x', 'y'"),
        (HalfSpaceTrees(n_trees=1, height=3, window_size=2**50, seed=1, limits=LIMITS), "masses beyond 1099511627776"),
        (HalfSpaceTrees(n_trees=1, height=3, window_size=0, seed=1, limits=LIMITS), "windows of 0 never score"),
        (
            HalfSpaceTrees(n_trees=1, height=9, window_size=9, seed=1, limits=LIMITS),
            "do not repay the tables of 1 tree",
        ),
    ],
)
def test_takes_the_loop(detector: HalfSpaceTrees, reason: str, log: pytest.LogCaptureFixture) -> None:
    assert_same_as_loop([detector], [[readings(20)], [readings(5)]])
    assert len(log.messages) == 1
    assert reason in log.messages[0]


@pytest.mark.parametrize(("n_trees", "height"), [(1, 15), (1000, 5), (1000, 15)])
def test_large_trees_have_no_tables(n_trees: int, height: int) -> None:
    detector = HalfSpaceTrees(n_trees=n_trees, height=height, limits=LIMITS)
    assert batch_scoring._misfit(detector).endswith("with windows of 250 have more than 8192 leaves")


def test_takes_the_loop_for_large_trees(monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(batch_scoring, "_MAX_LEAVES", 30)
    monkeypatch.setattr(batch_scoring, "_misfit_of_shape", batch_scoring._misfit_of_shape.__wrapped__)
    assert_same_as_loop([new_detector(DetectorParameters())], [[readings(200)]])
    assert "4 trees of height 3 with windows of 50 have more than 30 leaves" in log.messages[0]


def test_takes_the_loop_for_trees_of_several_features(log: pytest.LogCaptureFixture) -> None:
    detector = HalfSpaceTrees(height=3, window_size=9, seed=1)
    detector.learn_one({FEATURE: 0.5, "y": 0.5})
    assert_same_as_loop([detector], [[[0.1, 0.5, 0.9] * 20]])
    assert log.messages == ["Scoring reading by reading, which is slower: trees of 'x', 'y' are not of 'x' alone"]


def test_takes_the_loop_for_another_river(monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(batch_scoring, "RIVER_VERSION", "0.27.0")
    assert_same_as_loop([new_detector(DetectorParameters())], [[readings(200)]])
    assert log.messages == [
        "Scoring reading by reading, which is slower: river is 0.27.0, and tables are known to equal 0.26.1 only"
    ]


def test_takes_the_loop_for_a_handful_of_readings(log: pytest.LogCaptureFixture) -> None:
    assert_same_as_loop([new_detector(DetectorParameters()) for _ in range(3)], [[[1.0, 2.0]] * 3])
    assert "so few readings do not repay the tables of 4 trees of height 3 with windows of 50" in log.messages[0]


def test_loop_and_tables_in_one_call(log: pytest.LogCaptureFixture) -> None:
    detectors = [new_detector(DetectorParameters()), OtherTrees(height=2, window_size=9, seed=1, limits=LIMITS)]
    assert_same_as_loop(detectors, [[readings(300), readings(40)]])
    assert len(log.messages) == 1
