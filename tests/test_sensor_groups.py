"""A window of very many readings is worked on in groups of its sensors; whatever their size, the tables are equal."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqi_dagster.pipeline.detection import scoring
from aqi_dagster.pipeline.health import hours
from aqi_dagster.pipeline.health import progress as health_progress
from aqi_dagster.pipeline.store.portions import sensor_spans
from aqi_dagster.pipeline.verdicts import classify_windows, neighbours
from aqi_dagster.pipeline.verdicts.rule_sets import RULE_SETS
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange
from tests.support.crowded_window import fill, in_a_process, work_on
from tests.support.messages import FIRST_WINDOW, RawMessage, message
from tests.support.pipeline import Pipeline, pipeline
from tests.support.tables import rows

WINDOWS = [FIRST_WINDOW + number * WINDOW_LENGTH for number in range(3)]

RUNS = [WindowRange(WINDOWS[0], WINDOWS[1]), WindowRange(WINDOWS[2], WINDOWS[2])]
"""The second one continues from stored states."""

SENSORS = [f"45.{number:02}, -122" for number in range(13)] + ["45.000, -122.0", "45.010, -122"]
"""Fifteen texts, of which two name a device that others name, too."""

READINGS = 12
"""Readings of each sensor in a window."""

LIMITS = [
    (scoring, "READINGS_HELD"),
    (hours, "READINGS_SUMMED"),
    (health_progress, "READINGS_AT_ONCE"),
    (classify_windows, "READINGS_AT_ONCE"),
    (neighbours, "READINGS_AT_ONCE"),
]
"""What says how many readings are in memory at once."""


def season(seed: int) -> list[RawMessage]:
    """Every sensor once an hour in all windows, with a plume that most of them see; some are broken."""
    random = Random(seed)  # noqa: S311 (no secret)
    plume = range(random.randrange(8, 16), random.randrange(20, 36))
    blind, stuck = random.sample(SENSORS, 3), random.sample(SENSORS, 2)
    messages = []
    for sensor in SENSORS:
        for number in range(READINGS * len(WINDOWS)):
            moment = FIRST_WINDOW + number * timedelta(hours=1) + timedelta(seconds=random.randrange(3600))
            pm25 = random.uniform(3, 12)
            if number in plume and sensor not in blind:
                pm25 += random.uniform(300, 700)
            messages.append(message(sensor, moment, 2500.0 if sensor in stuck else pm25, **{"Humidity_%": "40"}))
    random.shuffle(messages)
    return messages


def tables_by_groups(messages: Sequence[RawMessage], sensors_of_a_group: int, rules: str) -> dict[str, Any]:
    """The tables of all :data:`RUNS` by groups of so many sensors; windows are worked on together by the same limit."""
    with pytest.MonkeyPatch.context() as patch, pipeline() as ran:
        for module, limit in LIMITS:
            patch.setattr(module, limit, sensors_of_a_group * READINGS)
        ran.change(rules=RULE_SETS[rules])
        ran.pull(messages)
        for windows in RUNS:
            ran.run(windows)
        return ran.tables() | {"regional_hours": rows(ran.connection, "FROM regional_hours ORDER BY ALL")}


@pytest.mark.parametrize("rules", list(RULE_SETS))
@given(seed=st.integers(0, 2**32))
@settings(max_examples=2)
def test_groups_of_1_7_and_all_sensors_give_equal_tables(rules: str, seed: int) -> None:
    messages = season(seed)
    every_reading = len(SENSORS) * len(WINDOWS)
    expected = tables_by_groups(messages, every_reading, rules)
    assert len(expected["scored_readings"]) == len(messages)
    assert expected["anomalies"]
    assert expected["regional_windows"]
    for sensors in (1, 7):
        assert tables_by_groups(messages, sensors, rules) == expected


def spans(ran: Pipeline, sensors: int) -> list[list[str]]:
    """The sensors in each group of so many."""
    window = WindowRange(WINDOWS[1], WINDOWS[1])
    found = sensor_spans(ran.connection, window, len(SENSORS) * READINGS, sensors * READINGS)
    return [[one for one in sorted(SENSORS) if span is None or span[0] <= one <= span[1]] for span in found]


def test_each_sensor_of_a_window_is_in_one_group() -> None:
    in_order = sorted(SENSORS)
    with pipeline() as ran:
        ran.pull(season(5))
        assert spans(ran, 1) == [[sensor] for sensor in in_order]
        assert spans(ran, 7) == [in_order[:7], in_order[7:14], in_order[14:]]
        assert spans(ran, len(SENSORS)) == [in_order]


@pytest.mark.long
def test_twice_as_many_sensors_in_a_window_do_not_take_twice_the_memory(tmp_path: Path) -> None:
    """Two and four million readings: held at once, those of the second window would take 1.5 times the memory."""
    peaks = []
    for sensors in (6_000, 12_000):
        folder = tmp_path / str(sensors)
        in_a_process(fill, folder, sensors)
        peaks.append(in_a_process(work_on, folder, sensors))
    assert peaks[1] < 1.35 * peaks[0]
