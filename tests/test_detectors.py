"""Detectors of single sensors: scoring, keeping their state, and refusing a state that cannot be trusted."""

import os
import pickle
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from river.anomaly import HalfSpaceTrees

from aqi_dagster.errors import DetectorStateError
from aqi_dagster.pipeline.detectors import (
    FEATURE,
    FORMAT_VERSION,
    PICKLE_PROTOCOL,
    RIVER_VERSION,
    DetectorParameters,
    StoredState,
    compressor,
    decompress,
    load_state,
    new_detector,
    require_same_parameters,
    score_and_learn,
)
from tests.conftest import FIRST_WINDOW

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


class RunsACommand:
    """Its pickle asks for ``os.system``."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.trace}",)


@pytest.mark.parametrize("hidden", [False, True])
def test_a_pickle_that_would_run_a_command_is_refused_and_runs_nothing(tmp_path: Path, hidden: bool) -> None:
    trace = tmp_path / "trace"
    command: Any = RunsACommand(trace)
    if hidden:
        detector = new_detector(PARAMETERS)
        detector.spare = command
        command = detector
    state = stored(command)
    assert "system is no part of a detector" in refusal(state)
    assert not trace.exists()
    pickle.loads(decompress(state, PARAMETERS))  # noqa: S301 (our own: shows that the pickle is a real danger)
    assert trace.exists()


@pytest.mark.parametrize("name", ["eval", "getattr", "exec", "__import__", "open"])
def test_pickles_of_builtin_functions_are_refused(name: str) -> None:
    state = f"cbuiltins\n{name}\n(S'1'\ntR.".encode()
    assert f"builtins.{name} is no part" in refusal(stored_pickle(state))


@pytest.mark.parametrize("content", [None, 5, "text", {"n_trees": 4}, [new_detector(PARAMETERS)], Random(1)])  # noqa: S311
def test_a_pickle_of_something_else_is_refused(content: Any) -> None:
    assert f"it holds a {type(content).__name__}" in refusal(stored(content))


@pytest.mark.parametrize("place", [0, 1, 2, 10, 100, 200, -1])
def test_a_flipped_byte_is_noticed(place: int) -> None:
    state = stored(learned())
    damaged = bytearray(state.state)
    damaged[place] ^= 0x20
    refusal(replace(state, state=bytes(damaged)))


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"text",
        zlib.compress(b"text"),
        stored_pickle(b"").state,
        stored_pickle(b"text").state,
        stored(learned()).state[:-20],
    ],
)
def test_bytes_that_are_no_pickle_are_refused(state: bytes) -> None:
    refusal(replace(stored(learned()), state=state))


def test_a_state_that_would_fill_the_memory_is_refused() -> None:
    bomb = stored_pickle(bytes(10**8))
    assert len(bomb.state) < 10**6
    assert "it is cut off, or longer than 17793 bytes" in refusal(bomb)


def test_equal_detectors_share_all_but_a_few_bytes() -> None:
    assert len(stored(learned()).state) < 400


def test_a_detector_with_other_trees_is_refused() -> None:
    detector = learned()
    detector.trees[0].threshold += 1
    assert "its trees are not those of its parameters" in refusal(stored(detector))


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
    assert "its parameters are (" in refusal(stored(new_detector(other)))


def test_a_detector_of_another_feature_is_refused() -> None:
    detector = new_detector(PARAMETERS)
    detector.limits = {"y": detector.limits[FEATURE]}
    refusal(stored(detector))
