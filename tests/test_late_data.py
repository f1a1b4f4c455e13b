"""Late, repeated, shuffled readings: once what the check names is run again, all tables are those of a sorted pass."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import dagster as dg
from hypothesis import given, settings
from hypothesis import strategies as st

from aqi_dagster.pipeline.store.outdated import OutdatedVerdicts
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, parse_key, window_key
from tests.support.messages import FIRST_WINDOW, RawMessage, message
from tests.support.micro_batch import published, run
from tests.support.pipeline import Pipeline, pipeline
from tests.support.tables import rows
from tests.support.topics import Topic

ENDED = WindowRange(FIRST_WINDOW, FIRST_WINDOW + 3 * WINDOW_LENGTH)

KEYS = [window_key(start) for start in ENDED]

SENSORS = ["45.1, -122", "45.2, -122", "45.3, -122"]


@dataclass(frozen=True)
class Arrival:
    """A reading that comes with a batch; batch n is pulled when window n has ended."""

    batch: int
    sensor: str
    created_at: datetime
    pm25: float


def arrivals(random: Random, late_share: float, repeated_share: float) -> list[Arrival]:
    """Readings of three sensors over four windows, each delayed and repeated at random, in order of arrival."""
    found = []
    for sensor in SENSORS:
        minutes = random.sample(range(-60, len(KEYS) * 720), random.randrange(120))
        for created_at in (FIRST_WINDOW + timedelta(minutes=minute) for minute in minutes):
            pm25 = random.choice([3.0, 9.0, 20.0]) + (random.random() < 0.15) * random.choice([300.0, 900.0])
            on_time = max(0, (created_at - FIRST_WINDOW) // WINDOW_LENGTH)
            for copy in range(1 + (random.random() < repeated_share) * random.randrange(1, 3)):
                delay = (random.random() < late_share) * random.randrange(1, 4)
                found.append(Arrival(on_time + delay, sensor, created_at, pm25 + copy * random.choice([0.0, 500.0])))
    random.shuffle(found)
    return sorted(found, key=lambda arrival: arrival.batch)


def take_in(late: Pipeline, readings: Iterable[Arrival]) -> None:
    """Pull ``readings`` as one chunk; a sensor's are in one Kafka partition, in order of arrival."""
    arrived = [*readings]
    messages = [message(reading.sensor, reading.created_at, reading.pm25) for reading in arrived]
    late.pull(messages, [SENSORS.index(reading.sensor) for reading in arrived])


def one_sorted_pass(arrived: Sequence[Arrival]) -> dict[str, Any]:
    """The tables of one pull and one run over the first of each reading, in order of time."""
    first = {(arrival.sensor, arrival.created_at): arrival for arrival in reversed(arrived)}
    with pipeline() as straight:
        take_in(straight, sorted(first.values(), key=lambda arrival: (arrival.created_at, arrival.sensor)))
        straight.tick(ENDED)
        return straight.tables()


@given(
    seed=st.integers(0, 2**32),
    late_share=st.sampled_from([0.0, 0.05, 0.5]),
    repeated_share=st.sampled_from([0.0, 0.3]),
    missed_ticks=st.sets(st.integers(0, len(KEYS) - 1)),
    backfills=st.lists(st.tuples(*[st.integers(0, len(KEYS) - 1)] * 3), max_size=2),
)
@settings(max_examples=25)
def test_whatever_comes_late_or_twice_the_tables_become_those_of_one_sorted_pass(
    seed: int,
    late_share: float,
    repeated_share: float,
    missed_ticks: set[int],
    backfills: list[tuple[int, int, int]],
) -> None:
    arrived = arrivals(Random(seed), late_share, repeated_share)  # noqa: S311 (no secret)
    batches: defaultdict[int, list[Arrival]] = defaultdict(list)
    for arrival in arrived:
        batches[arrival.batch].append(arrival)
    with pipeline() as late:
        for number in range(len(KEYS) + 3):
            ended = [*ENDED][: number + 1]
            take_in(late, batches[number])
            if number not in missed_ticks:
                late.tick(WindowRange.of(ended))
            for when, first, length in backfills:
                chosen = ended[first : first + length + 1]
                if when == number and chosen:
                    late.run_named(WindowRange.of(chosen))
        late.mend()
        assert late.status.outdated.windows is None
        assert late.status.outdated_verdicts == OutdatedVerdicts(0, None)
        assert late.tables() == one_sorted_pass(arrived)
        told = rows(
            late.connection,
            "SELECT window_start, arg_max(verdict, alert_id) AS verdict FROM slack_alerts "
            "WHERE status <> 'superseded' GROUP BY ALL ORDER BY ALL",
        )
        assert told == rows(late.connection, "SELECT window_start, verdict FROM regional_windows ORDER BY ALL")


def test_these_readings_make_scores_anomalies_and_both_verdicts() -> None:
    found = [one_sorted_pass(arrivals(Random(seed), 0.0, 0.0)) for seed in range(10)]  # noqa: S311 (no secret)
    assert sum(row[-1] > 0 for tables in found for row in tables["scored_readings"]) > 500
    assert sum(len(tables["anomalies"]) for tables in found) > 20
    assert {row[9] for tables in found for row in tables["regional_windows"]} == {"smoke", "malfunction"}


def day(sensor: str, window: str, peak: float) -> list[RawMessage]:
    """Readings of one window, every ten minutes, five of them at a peak."""
    times = [parse_key(window) + number * timedelta(minutes=10) for number in range(72)]
    return [message(sensor, time, peak if 60 <= number < 65 else 5.0) for number, time in enumerate(times)]


def test_readings_beyond_the_grace_are_kept_and_told_by_the_check_whose_range_takes_them_in(
    topic: Topic, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    one, two, _ = SENSORS
    on_time = [day(one, key, 900.0) + day(two, key, 5.0) for key in KEYS]
    late, repeated = day("45.4, -122", KEYS[1], 5.0) + day(two, KEYS[1], 900.0)[70:], day(one, KEYS[1], 700.0)
    on_time[1] = [reading for reading in on_time[1] if reading not in late]
    for number, readings in enumerate(on_time):
        topic.send(readings, partition=0)
        run(topic, tmp_path / "late", KEYS[max(0, number - 1)], KEYS[number], instance)
    topic.send(late + repeated, partition=0)
    result = run(topic, tmp_path / "late", KEYS[-2], KEYS[-1], instance)
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert checks["every_message_accounted_for"].passed
    assert not checks["scores_up_to_date"].passed
    assert checks["scores_up_to_date"].severity == dg.AssetCheckSeverity.WARN
    assert checks["scores_up_to_date"].metadata["late_readings"].value == len(late)
    told = checks["scores_up_to_date"].description or ""
    assert told.startswith(f"{len(late)} late readings: materialize {KEYS[1]} to {KEYS[-1]}")
    result = run(topic, tmp_path / "late", KEYS[1], KEYS[-1], instance)
    passed = {check.check_name for check in result.get_asset_check_evaluations() if check.passed}
    assert {"every_message_accounted_for", "scores_up_to_date"} <= passed

    in_order = Topic(f"{topic.name}-in-order", topic.servers)
    in_order.create()
    for readings in [on_time[0], on_time[1] + late, *on_time[2:]]:
        in_order.send(readings, partition=0)
    run(in_order, tmp_path / "in_order", KEYS[0], KEYS[-1], instance)
    tables = ["scored_readings", "detector_states", "anomalies", "regional_windows"]
    assert published(tmp_path / "late", tables) == published(tmp_path / "in_order", tables)
    assert len(published(tmp_path / "late", ["anomalies"])["anomalies"]) > 10
