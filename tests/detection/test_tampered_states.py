"""Detector states that were damaged or tampered with: refused before a single one of their opcodes is run."""

import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from river.anomaly import HalfSpaceTrees
from river.tree.padded import PaddedLeaf

from aqi_dagster.errors import DetectorStateError
from aqi_dagster.pipeline.detection.detectors import new_detector
from aqi_dagster.pipeline.detection.state_pickles import decompress, load_state
from tests.support.detector_states import PARAMETERS, learned, refusal, stored, stored_pickle

GENUINE = stored(learned())

PICKLED = decompress(GENUINE, PARAMETERS)

OPCODES = PICKLED[:2] + PICKLED[11:]
"""The pickle without its one frame, which says nothing of what it holds."""

UNCHANGED_CLASS = dict(vars(HalfSpaceTrees))


class Reduced:
    """Its pickle calls ``function`` with ``arguments`` and then builds ``state`` on what that gives."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...], state: Any = None) -> None:
        self.reduced = (function, arguments, state) if state is not None else (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


def built_on(kind: type, state: object) -> bytes:
    """A pickle that sets ``state`` on the class ``kind`` itself."""
    name = pickle.dumps(kind, 2).removesuffix(pickle.STOP)
    return (
        name + pickle.dumps(state, 2).removesuffix(pickle.STOP).removeprefix(b"\x80\x02") + pickle.BUILD + pickle.STOP
    )


@pytest.mark.parametrize("hidden", [False, True])
def test_a_pickle_that_would_run_a_command_is_refused_and_runs_nothing(tmp_path: Path, hidden: bool) -> None:
    trace = tmp_path / "trace"
    command: Any = Reduced(os.system, (f"touch {trace}",))
    if hidden:
        detector = learned()
        detector.spare = command
        command = detector
    state = stored(command)
    refusal(state)
    assert not trace.exists()
    pickle.loads(decompress(state, PARAMETERS))  # noqa: S301 (our own: shows that the pickle is a real danger)
    assert trace.exists()


def test_a_pickle_that_would_change_a_class_is_refused_and_changes_nothing() -> None:
    # A pair of states is one for __dict__ and one that is set attribute by attribute, which works on classes too.
    tampered = built_on(PaddedLeaf, (None, {"is_tampered_with": True}))
    refusal(stored_pickle(tampered))
    refusal(stored_pickle(tampered.removesuffix(pickle.STOP) + pickle.POP + OPCODES[2:]))
    assert not hasattr(PaddedLeaf, "is_tampered_with")
    pickle.loads(tampered)  # noqa: S301 (our own: shows that the pickle is a real danger)
    assert PaddedLeaf.is_tampered_with
    del PaddedLeaf.is_tampered_with


@pytest.mark.parametrize(
    "harmful",
    [
        Reduced(HalfSpaceTrees, (), {"score_one": print}),
        Reduced(HalfSpaceTrees, (), (None, {"score_one": Reduced(exit, (1,))})),
        Reduced(Random, (1,)),
        Reduced(eval, ("1",)),
        Reduced(getattr, (HalfSpaceTrees, "score_one")),
        Reduced(tuple, (range(10**7),)),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
def test_what_a_detector_would_not_hold_is_refused(harmful: Reduced, inside: bool) -> None:
    detector = learned()
    detector.rng = harmful
    refusal(stored(detector if inside else harmful))
    assert dict(vars(HalfSpaceTrees)) == UNCHANGED_CLASS


@pytest.mark.parametrize("content", [None, 5, "text", {"n_trees": 4}, [learned()], Random(1), new_detector(PARAMETERS)])  # noqa: S311
def test_a_pickle_of_something_else_is_refused(content: Any) -> None:
    assert "departs from the layout of a detector" in refusal(stored(content))


@pytest.mark.parametrize("place", [0, 1, 2, 10, 100, 200, -1])
def test_a_flipped_byte_is_noticed(place: int) -> None:
    damaged = bytearray(GENUINE.state)
    damaged[place] ^= 0x20
    refusal(replace(GENUINE, state=bytes(damaged)))


def test_a_flipped_bit_of_the_pickle_itself_is_noticed_or_changes_one_number() -> None:
    loaded, refused = 0, 0
    for place in range(len(PICKLED) - len(OPCODES) + 2, len(PICKLED), 7):
        damaged = bytearray(PICKLED)
        damaged[place] ^= 0x01
        try:
            detector = load_state(stored_pickle(bytes(damaged)), PARAMETERS)
        except DetectorStateError:
            refused += 1
        else:
            assert stored(detector).state != GENUINE.state
            loaded += 1
    assert refused > 20 * loaded > 0


@pytest.mark.parametrize("length", [0, 1, 2, 100, len(GENUINE.state) - 20, len(GENUINE.state) - 1])
def test_a_state_that_is_cut_off_is_refused(length: int) -> None:
    refusal(replace(GENUINE, state=GENUINE.state[:length]))


@pytest.mark.parametrize(
    "pickled", [b"", b"text", PICKLED[:-1], PICKLED[:2], PICKLED[:3000], PICKLED + b".", PICKLED * 2]
)
def test_bytes_that_are_not_one_whole_pickle_are_refused(pickled: bytes) -> None:
    refusal(stored_pickle(pickled))


@pytest.mark.parametrize("state", [b"text", GENUINE.state + b"x", GENUINE.state * 2])
def test_bytes_that_are_not_one_whole_compressed_text_are_refused(state: bytes) -> None:
    refusal(replace(GENUINE, state=state))


def test_a_state_that_would_fill_the_memory_is_refused_before_it_does() -> None:
    bomb = stored_pickle(bytes(10**8))
    assert len(bomb.state) < 10**6
    assert "it is cut off, or longer than 17793 bytes" in refusal(bomb)


@pytest.mark.parametrize(
    "pickled",
    [
        b"(" * 2_000,
        pickle.EMPTY_LIST * 2_000 + pickle.APPEND * 1_999 + pickle.STOP,
        pickle.NONE + pickle.TUPLE1 * 2_000 + pickle.STOP,
        pickle.LONG4 + (2**31 - 1).to_bytes(4, "little") + b"x",
        pickle.BINBYTES8 + (2**62).to_bytes(8, "little") + b"x",
        PICKLED[:2] + pickle.FRAME + (2**63).to_bytes(8, "little") + PICKLED[12:],
        pickle.LONG_BINPUT + b"\xff\xff\xff\x7f",
    ],
)
def test_deep_nesting_and_huge_sizes_are_refused(pickled: bytes) -> None:
    refusal(stored_pickle(pickled))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"counter": 50}, "its counter is 50"),
        ({"counter": 2**31 - 1}, "its counter is 2147483647"),
        ({"counter": -1}, "its counts are none"),
        ({"counter": 2**31}, "departs from the layout"),
        ({"counter": 1.0}, "departs from the layout"),
        ({"counter": "1"}, "departs from the layout"),
        ({"_first_window": 1}, "its counts are none"),
        ({"counter": True}, "its counts are none"),
        ({"_first_window": None}, "departs from the layout"),
        ({"window_size": 51}, "departs from the layout"),
        ({"spare": 1}, "does not end as a detector"),
    ],
)
def test_counts_that_no_detector_has_are_refused(changes: dict[str, Any], told: str) -> None:
    detector = learned()
    vars(detector).update(changes)
    assert told in refusal(stored(detector))


def test_a_count_that_is_left_out_is_refused() -> None:
    at = PICKLED.index(b"l_mass") + len(b"l_mass") + 1
    assert PICKLED[at : at + 1] == pickle.BININT1
    refusal(stored_pickle(PICKLED[:at] + PICKLED[at + 2 :]))
