"""Detectors of single sensors: scoring, keeping their state, and refusing a state that cannot be trusted."""

from dataclasses import replace
from typing import Any

import pytest
from river.anomaly import HalfSpaceTrees

from aqi_dagster.errors import DetectorStateError
from aqi_dagster.pipeline.detection.detector_states import require_same_parameters
from aqi_dagster.pipeline.detection.detectors import FEATURE, DetectorParameters, new_detector, score_and_learn
from aqi_dagster.pipeline.detection.state_pickles import load_state
from tests.support.detector_states import PARAMETERS, SENSOR, learned, refusal, series, stored


def test_each_reading_is_scored_before_it_is_learned() -> None:
    tree = HalfSpaceTrees(n_trees=4, height=3, window_size=50, seed=11, limits={"x": (0.0, 1200.0)})
    expected = []
    for value in series(400):
        expected.append(tree.score_one({"x": value}))
        tree.learn_one({"x": value})
    assert score_and_learn(new_detector(PARAMETERS), series(400)) == expected
    assert max(expected) > 0.7


@pytest.mark.parametrize("parameters", [PARAMETERS, DetectorParameters(7, 5, 20, 3, -10, 500)])
@pytest.mark.parametrize("cut", [1, 49, 50, 51, 200])
def test_a_detector_goes_on_from_its_stored_state_as_if_never_stored(cut: int, parameters: DetectorParameters) -> None:
    values = series(400)
    live = learned(parameters, cut)
    loaded = load_state(stored(live, parameters), parameters)
    assert score_and_learn(loaded, values[cut:]) == score_and_learn(live, values[cut:])
    assert stored(loaded, parameters) == stored(live, parameters)


def test_equal_parameters_have_equal_hashes_and_others_do_not() -> None:
    changes: list[dict[str, Any]] = [
        *({name: 12} for name in ("n_trees", "height", "window_size", "seed")),
        *({name: 12.5} for name in ("lower_limit", "upper_limit")),
    ]
    hashes = {replace(PARAMETERS, **change).hash() for change in changes} | {PARAMETERS.hash()}
    assert len(hashes) == 1 + len(changes)
    assert DetectorParameters().hash() == PARAMETERS.hash()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format_version": 1}, "stored in format 1"),
        ({"river_version": "0.1.0"}, "by river 0.1.0"),
        ({"parameters_hash": "ab" * 32}, "parameters abababababab;"),
    ],
)
def test_a_state_of_another_format_river_or_parameters_is_refused(change: dict[str, Any], told: str) -> None:
    state = stored(learned())
    require_same_parameters(state, PARAMETERS)
    with pytest.raises(DetectorStateError) as refused:
        require_same_parameters(replace(state, **change), PARAMETERS)
    text = str(refused.value)
    assert told in text
    assert f"sensor '{SENSOR}' after window 2022-07-18T00:00" in text
    assert f"now it is format 2, river {state.river_version}, parameters {PARAMETERS.hash()[:12]}" in text


def test_equal_detectors_share_all_but_a_few_bytes() -> None:
    assert len(stored(learned()).state) < 400


def test_a_detector_with_other_trees_is_refused() -> None:
    detector = learned()
    detector.trees[0].threshold += 1
    assert "departs from the layout of a detector" in refusal(stored(detector))


@pytest.mark.parametrize(
    "other",
    [
        replace(PARAMETERS, n_trees=5),
        replace(PARAMETERS, height=4),
        replace(PARAMETERS, window_size=51),
        replace(PARAMETERS, seed=12),
        replace(PARAMETERS, lower_limit=1.0),
        replace(PARAMETERS, upper_limit=1000.0),
    ],
)
def test_a_detector_with_other_parameters_than_its_row_says_is_refused(other: DetectorParameters) -> None:
    assert "is not the pickle of such a detector" in refusal(stored(learned(other)))


def test_a_detector_of_another_feature_is_refused() -> None:
    detector = learned()
    detector.limits["y"] = detector.limits.pop(FEATURE)
    refusal(stored(detector))
