"""Whatever was run in part, in any order, by any settings and clocks, from any backup: what is named mends it all."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqi_dagster.errors import ClockError, DetectorStateError, RangeRequiredError
from aqi_dagster.pipeline.detection.anomalies import Thresholds
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.health.known_trouble import Record, record_trouble
from aqi_dagster.pipeline.regions.geocoding import NearestTown
from aqi_dagster.pipeline.verdicts.rule_sets import RULE_SETS
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange
from tests.support.messages import FIRST_WINDOW, RawMessage, message
from tests.support.pipeline import REGION, STEPS, Pipeline, pipeline, wrong_without_a_word
from tests.support.results import differences, pulled

WINDOWS = [FIRST_WINDOW + number * WINDOW_LENGTH for number in range(20)]

SENSORS = ["45.1, -122", "45.2, -122", "45.3, -122"]

OTHER_SETTINGS: Sequence[dict[str, Any]] = [
    {"first_window": WINDOWS[1]},
    {"first_window": WINDOWS[3]},
    {"first_window": FIRST_WINDOW - WINDOW_LENGTH},
    {"first_window": FIRST_WINDOW - 3 * WINDOW_LENGTH},
    {"parameters": DetectorParameters(window_size=9)},
    {"thresholds": Thresholds(score=0.3)},
    {"thresholds": Thresholds(score=0.5, pm25=400.0)},
    {"regions": replace(REGION, name="Tahoe Basin")},
    {"regions": replace(REGION, method="county")},
    {"rules": RULE_SETS["network"]},
    {"rules": RULE_SETS["notebook"]},
]


def readings(random: Random) -> list[RawMessage]:
    """Readings of three sensors, from an hour before the first window on, with plumes; some windows have none."""
    full = set(random.sample(range(len(WINDOWS)), random.randint(4, 8)))
    moments = [minute for minute in range(-60, len(WINDOWS) * 720, 31) if minute // 720 in full or minute < 60]
    return [
        message(sensor, FIRST_WINDOW + timedelta(minutes=minute), 9.0 + (random.random() < 0.1) * 600.0)
        for sensor in SENSORS
        for minute in sorted(random.sample(moments, min(len(moments), 90)))
    ]


RUNS = st.tuples(
    st.just("run"),
    st.integers(0, len(WINDOWS) - 1),
    st.sampled_from([0, 0, 1, 3, len(WINDOWS)]),
    st.sampled_from([STEPS, STEPS, STEPS, ("judge",), ("score",), ("select",), ("classify",), ("score", "select")]),
)
PULLS = st.tuples(st.just("pull"), st.one_of(st.none(), st.integers(-2, len(WINDOWS) * 12)))
MOVES = st.tuples(st.sampled_from(["looked up", "inside", "outside"]), st.sampled_from(SENSORS))
TROUBLE = st.tuples(
    st.just("known"),
    st.sampled_from(SENSORS),
    st.sampled_from(["broken", "excluded", "repaired"]),
    st.integers(0, len(WINDOWS) - 1),
)
CHANGES = st.tuples(st.just("change"), st.sampled_from(OTHER_SETTINGS))
STORES = st.tuples(st.sampled_from(["back up", "restore", "wipe", "mend", "mend"]))


def happen(ran: Pipeline, event: tuple[Any, ...], arriving: list[Sequence[RawMessage]], backup: Path) -> None:
    """One thing that an operator or the world does; some runs are refused."""
    match event:
        case ("pull", hour):
            if arriving:
                ran.log.send(arriving.pop())
            with suppress(ClockError):
                ran.pull() if hour is None else ran.pull_at(FIRST_WINDOW + timedelta(hours=hour))
        case ("change", other):
            ran.change(**other)
        case ("looked up", sensor):
            answer = [sensor, NearestTown.method, f"County {sensor[:4]}", FIRST_WINDOW]
            ran.connection.execute("DELETE FROM sensor_regions WHERE sensor = ?", [sensor])
            ran.connection.execute("INSERT INTO sensor_regions VALUES (?, ?, ?, ?)", answer)
        case (("inside" | "outside") as place, sensor):
            location = int(place == "inside")
            ran.connection.execute("UPDATE sensors SET location_type = ? WHERE sensor = ?", [location, sensor])
        case ("back up",):
            backup.unlink(missing_ok=True)
            ran.back_up(backup)
        case ("restore",) if backup.exists():
            ran.restore(backup)
        case ("mend",):
            ran.mend()
        case ("wipe",):
            ran.wipe()
        case ("known", sensor, kind, number):
            since, until = WINDOWS[number], WINDOWS[number] + 2 * WINDOW_LENGTH if kind == "broken" else None
            record_trouble(ran.connection, Record(sensor, kind, since, until, "said so", FIRST_WINDOW))
        case ("run", first, length, steps):
            windows = [start for start in WINDOWS[first : first + length + 1] if start >= ran.choices.first_window]
            if windows:
                with suppress(RangeRequiredError, DetectorStateError):
                    ran.run(WindowRange.of(windows), steps)


def live(seed: int, events: Sequence[tuple[Any, ...]], backup: Path) -> None:
    """Let ``events`` happen while readings arrive in three parts, mend what came of it, and compare with one pass."""
    random = Random(seed)  # noqa: S311 (no secret)
    messages = readings(random)
    shuffled = random.sample(messages, len(messages))
    arriving: list[Sequence[RawMessage]] = [shuffled[part::3] for part in range(3)]
    backup.unlink(missing_ok=True)
    with pipeline() as ran, pipeline() as straight:
        ran.states_kept = random.choice([ran.states_kept, timedelta(days=1)])
        for event in [("pull", None), *events, *[("pull", None)] * 3]:
            happen(ran, event, arriving, backup)
            assert not wrong_without_a_word(ran.connection, ran.choices), event
        ran.mend()
        straight.choices = ran.choices
        straight.pull(shuffled[2::3] + shuffled[1::3] + shuffled[::3])
        straight.place_sensors(ran)
        straight.run(WindowRange(ran.choices.first_window, WINDOWS[-1]))
        assert differences(ran.tables(), straight.tables()) == {}
        assert pulled(ran.connection) == pulled(straight.connection)


EVENTS = st.lists(st.one_of(RUNS, RUNS, PULLS, CHANGES, MOVES, TROUBLE, STORES), max_size=12)


@given(seed=st.integers(0, 2**32), events=EVENTS)
@settings(max_examples=3)
def test_running_what_is_named_gives_the_tables_of_one_pass(
    tmp_path_factory: pytest.TempPathFactory, seed: int, events: list[tuple[Any, ...]]
) -> None:
    live(seed, events, tmp_path_factory.getbasetemp() / "backup.duckdb")


@pytest.mark.long
@pytest.mark.timeout(3000)
@given(seed=st.integers(0, 2**32), events=EVENTS)
@settings(max_examples=60)
def test_running_what_is_named_gives_the_tables_of_one_pass_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, seed: int, events: list[tuple[Any, ...]]
) -> None:
    live(seed, events, tmp_path_factory.getbasetemp() / "backup.duckdb")
