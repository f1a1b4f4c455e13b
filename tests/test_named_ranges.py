"""Whatever was run in part, in any order, by any settings: once what is named was run, all is as one pass has it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aqi_dagster.errors import DetectorStateError, RangeRequiredError
from aqi_dagster.pipeline.detection.anomalies import Thresholds
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.health.known_trouble import Record, record_trouble
from aqi_dagster.pipeline.regions.geocoding import NearestTown
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange
from tests.support.messages import FIRST_WINDOW, RawMessage, message
from tests.support.pipeline import REGION, STEPS, Pipeline, known, one_pass, pipeline

WINDOWS = [FIRST_WINDOW + number * WINDOW_LENGTH for number in range(6)]

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
]


def readings(random: Random) -> list[RawMessage]:
    """Readings of three sensors, from an hour before the first window on, with plumes; some windows have none."""
    empty = set(random.sample(range(len(WINDOWS)), random.randrange(3)))
    moments = [minute for minute in range(-60, len(WINDOWS) * 720, 7) if minute // 720 not in empty]
    return [
        message(sensor, FIRST_WINDOW + timedelta(minutes=minute), 9.0 + (random.random() < 0.1) * 600.0)
        for sensor in SENSORS
        for minute in sorted(random.sample(moments, min(len(moments), 60)))
    ]


RUNS = st.tuples(
    st.just("run"),
    st.integers(0, len(WINDOWS) - 1),
    st.integers(0, 3),
    st.sampled_from([STEPS, STEPS, STEPS, ("score",), ("select",), ("classify",), ("score", "select")]),
)
PULLS = st.tuples(st.just("pull"))
MOVES = st.tuples(st.sampled_from(["looked up", "inside", "outside"]), st.sampled_from(SENSORS))
TROUBLE = st.tuples(
    st.just("known"),
    st.sampled_from(SENSORS),
    st.sampled_from(["broken", "excluded", "repaired"]),
    st.integers(0, len(WINDOWS) - 1),
)
CHANGES = st.tuples(st.just("change"), st.sampled_from(OTHER_SETTINGS))


def happen(ran: Pipeline, event: tuple[Any, ...], arriving: list[Sequence[RawMessage]]) -> None:
    """One thing that an operator or the world does; some runs are refused."""
    match event:
        case ("pull",):
            if arriving:
                ran.pull(arriving.pop())
        case ("change", other):
            ran.change(**other)
        case ("looked up", sensor):
            answer = [sensor, NearestTown.method, f"County {sensor[:4]}", FIRST_WINDOW]
            ran.connection.execute("DELETE FROM sensor_regions WHERE sensor = ?", [sensor])
            ran.connection.execute("INSERT INTO sensor_regions VALUES (?, ?, ?, ?)", answer)
        case (("inside" | "outside") as place, sensor):
            location = int(place == "inside")
            ran.connection.execute("UPDATE sensors SET location_type = ? WHERE sensor = ?", [location, sensor])
        case ("known", sensor, kind, number):
            since, until = WINDOWS[number], WINDOWS[number] + 2 * WINDOW_LENGTH if kind == "broken" else None
            record_trouble(ran.connection, Record(sensor, kind, since, until, "said so", FIRST_WINDOW))
        case ("run", first, length, steps):
            windows = [start for start in WINDOWS[first : first + length + 1] if start >= ran.choices.first_window]
            if windows:
                with suppress(RangeRequiredError, DetectorStateError):
                    ran.run(WindowRange.of(windows), steps)


@given(seed=st.integers(0, 2**32), events=st.lists(st.one_of(RUNS, RUNS, PULLS, CHANGES, MOVES, TROUBLE), max_size=12))
@settings(max_examples=15)
def test_running_what_is_named_gives_the_tables_of_one_pass(seed: int, events: list[tuple[Any, ...]]) -> None:
    random = Random(seed)  # noqa: S311 (no secret)
    messages = readings(random)
    shuffled = random.sample(messages, len(messages))
    arriving: list[Sequence[RawMessage]] = [shuffled[part::3] for part in range(3)]
    with pipeline() as ran:
        for event in [("pull",), *events, *[("pull",)] * 3]:
            happen(ran, event, arriving)
        ran.mend()
        assert known(ran) == one_pass(messages, ran.choices, WINDOWS[-1], ran)
