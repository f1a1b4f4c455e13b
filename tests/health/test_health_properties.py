"""However readings come in and windows are cut into runs: the health and the verdicts are what one pass gives."""

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqi_dagster.pipeline.health.health_table import SensorHealth, sensor_health
from aqi_dagster.pipeline.health.judge_windows import judge_windows
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.pipeline.verdicts.network_rules import Judgement, judge
from aqi_dagster.windows import WindowRange
from tests.support.health import window_at
from tests.support.messages import FIRST_WINDOW, RawMessage, message, take_in

WINDOWS = 56
"""Four weeks: windows are judged by two, and those by what came up to a week before them."""

LOOKED_BACK = 42
"""Windows of 21 days."""

SENSORS = {
    "39.1, -120.1": "Tahoe",
    "39.2, -120.3": "Tahoe",
    "39.4, -120.0": "Tahoe",
    "39.5, -120.2": "Tahoe",
    "39.5, -119.8": "Reno",
    "39.6, -119.7": "Reno",
}

Outcome = tuple[list[SensorHealth], list[Judgement | None]]


def season() -> list[RawMessage]:
    """Four weeks of six sensors with smoke, some of which fail, fade or fall silent; a reading every other hour."""
    random = Random(11)  # noqa: S311 (no secret)
    messages = []
    for number in range(WINDOWS):
        air = 150.0 if number % 20 in (13, 14, 15) else 9.0 + number % 7
        for place, sensor in enumerate(SENSORS):
            for hour in range(0, 12, 2) if (number + place) % 9 else range(3):
                moment = window_at(number) + timedelta(hours=hour, minutes=random.randrange(60))
                value = state(place, number, air) * random.uniform(0.9, 1.1)
                messages.append(message(sensor, moment, value, **{"Humidity_%": str(random.randrange(20, 90))}))
    return messages


def state(place: int, number: int, air: float) -> float:
    """What the sensor at that place makes of the ``air``."""
    if place == 0 and 8 <= number < 10:
        return 5_000.0
    if place == 1 and number >= 12:
        return air / 6
    if place == 2 and 22 <= number < 36:
        return 0.0
    if (place in (0, 3) and number in (5, 19, 37)) or (place == 4 and number % 11 == 5):
        return air * 30
    return air


@pytest.fixture(scope="module")
def messages() -> list[RawMessage]:
    return season()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("health"))


@pytest.fixture(scope="module")
def connection(store: Store) -> Iterator[Writer]:
    with store.exclusive() as writer:
        yield writer


@pytest.fixture(scope="module")
def one_pass(tmp_path_factory: pytest.TempPathFactory, messages: Sequence[RawMessage]) -> Outcome:
    """The outcome of readings in order and one run over all windows."""
    return outcome_of_one_pass(tmp_path_factory.mktemp("one_pass"), messages)


def outcome_of_one_pass(folder: Path, messages: Sequence[RawMessage]) -> Outcome:
    with Store(folder).exclusive() as connection:
        ingest_all(connection, [messages])
        run(connection, 0, WINDOWS)
        return outcome(connection)


def ingest_all(connection: Writer, chunks: Sequence[Sequence[RawMessage]]) -> None:
    for chunk in chunks:
        take_in(connection, chunk)
    # Every other sensor has a second laser, which differs now and then.
    connection.execute(
        "UPDATE readings "
        "SET pm25_cf1_b = CASE WHEN epoch(window_start)::BIGINT % 7 = 0 THEN 2.5 ELSE 1.02 END * pm25_cf1 "
        "WHERE sensor LIKE '39.5%'"
    )


def run(connection: Writer, first: int, end: int) -> None:
    """One run over the windows from number ``first`` to before ``end``."""
    judge_windows(connection, WindowRange(window_at(first), window_at(end - 1)), FIRST_WINDOW, SENSORS.get, "regions")


def outcome(connection: Writer) -> Outcome:
    table = connection.sql("FROM sensor_health ORDER BY window_start, sensor").to_arrow_table()
    rows = sensor_health(table)
    regions = sorted(set(SENSORS.values()))
    return rows, [judge(region, window_at(n), rows) for n in range(WINDOWS) for region in regions]


def start_anew(connection: Writer) -> None:
    for table in ("readings", "sensors", "windows", "sensor_health"):
        connection.execute(f"DELETE FROM {table}")


def test_the_season_has_something_of_everything(one_pass: Outcome) -> None:
    rows, judgements = one_pass
    assert any(row.is_local for row in rows)
    assert {row.fault for row in rows} >= {None, "impossible", "dead", "high", "disagree"}
    assert any(row.unlike_neighbours for row in rows)
    assert any(row.on_probation for row in rows)
    assert {judgement and judgement.verdict for judgement in judgements} == {None, "smoke", "malfunction"}


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 2**32), chunks=st.integers(1, 5), cuts=st.sets(st.integers(1, WINDOWS - 1), max_size=12))
def test_order_repeats_and_runs_make_no_difference(
    connection: Writer,
    messages: Sequence[RawMessage],
    one_pass: Outcome,
    seed: int,
    chunks: int,
    cuts: set[int],
) -> None:
    random = Random(seed)  # noqa: S311 (no secret)
    shuffled = [*messages, *random.sample(messages, 200)]
    random.shuffle(shuffled)
    start_anew(connection)
    ingest_all(connection, [shuffled[number::chunks] for number in range(chunks)])
    for first, end in pairwise([0, *sorted(cuts), WINDOWS]):
        run(connection, first, end)
    assert outcome(connection) == one_pass
    # A range that is run again changes nothing.
    first = random.randrange(WINDOWS)
    run(connection, first, random.randrange(first, WINDOWS) + 1)
    assert outcome(connection) == one_pass


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 2**32), late_window=st.integers(0, WINDOWS - 1), late_windows=st.integers(1, 3))
def test_late_readings_reach_no_farther_than_21_days(
    connection: Writer,
    messages: Sequence[RawMessage],
    one_pass: Outcome,
    seed: int,
    late_window: int,
    late_windows: int,
) -> None:
    random = Random(seed)  # noqa: S311 (no secret)
    begins, ends = (window_at(n).isoformat(" ") for n in (late_window, late_window + late_windows))
    sensors = random.sample(sorted(SENSORS), random.randrange(len(SENSORS)) + 1)
    late = [(k, v) for k, v in messages if begins <= created_at(v) < ends and json.loads(k or b"") in sensors]
    start_anew(connection)
    ingest_all(connection, [[each for each in messages if each not in late]])
    run(connection, 0, WINDOWS)
    ingest_all(connection, [late])
    run(connection, late_window, min(late_window + late_windows + LOOKED_BACK, WINDOWS))
    assert outcome(connection) == one_pass


def created_at(value: bytes | None) -> str:
    """The time that the value of a message names, as text."""
    return str(json.loads(value or b"")["created_at"])
