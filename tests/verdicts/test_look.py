"""Looks at the open window: smoke is seen within hours, and closed windows come to the same whether anybody looked."""

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from aqi_dagster.pipeline.health.health_table import health_by_window
from aqi_dagster.pipeline.health.known_trouble import Record, record_trouble
from aqi_dagster.pipeline.verdicts.conditions import Condition
from aqi_dagster.pipeline.verdicts.look import Judging, look
from aqi_dagster.pipeline.verdicts.rule_sets import RULE_SETS
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, window_start
from tests.support.messages import FIRST_WINDOW, RawMessage, message
from tests.support.pipeline import Pipeline, pipeline
from tests.support.tables import rows

HOUR = timedelta(hours=1)

SENSORS = ["45.1, -122", "45.2, -122", "45.3, -122"]

BEGAN = FIRST_WINDOW + timedelta(days=2, hours=3)
"""When the smoke began: three hours into a window."""

ENDED = BEGAN + 14 * HOUR

CLOSED = WindowRange(FIRST_WINDOW, FIRST_WINDOW + 6 * WINDOW_LENGTH)

NETWORK, NOTEBOOK = RULE_SETS["network"], RULE_SETS["notebook"]


def air(sensor: str, moment: datetime) -> float:
    """What a sensor reads (CF=1, ug/m3): some more than others, and each reading other than the one before."""
    wave = (moment.minute + 7 * moment.hour + 3 * SENSORS.index(sensor)) % 10 / 10
    return (400.0 if BEGAN <= moment < ENDED else 8.0) * (1 + wave / 5)


def readings(
    begin: datetime, end: datetime, sensors: Sequence[str] = SENSORS, pm25: Callable[[str, datetime], float] = air
) -> list[RawMessage]:
    """A reading of each sensor every 20 minutes, in order of time."""
    moments = [begin + number * timedelta(minutes=20) for number in range((end - begin) // timedelta(minutes=20))]
    return [message(sensor, moment, pm25(sensor, moment)) for moment in moments for sensor in sensors]


def look_at(one: Pipeline, moment: datetime) -> list[Condition]:
    choices = one.choices
    judging = Judging(
        choices.first_window,
        choices.regions.regions(one.connection),
        choices.rules,
        choices.parameters,
        choices.thresholds,
    )
    return look(one.connection, moment, judging)


def run_up_to(one: Pipeline, moment: datetime, **further: Any) -> None:
    """Pull what was sent by ``moment``, and run the windows that had ended by then."""
    one.pull(readings(FIRST_WINDOW, moment, **further))
    one.run(WindowRange(FIRST_WINDOW, window_start(moment) - WINDOW_LENGTH))


@pytest.mark.parametrize("rules", RULE_SETS.values(), ids=RULE_SETS)
def test_smoke_is_seen_before_its_window_ends_and_is_over_when_it_is(rules: Any) -> None:
    with pipeline() as one:
        one.change(rules=rules)
        run_up_to(one, BEGAN)
        (before,) = look_at(one, BEGAN)
        assert (before.state, before.rules) == ("clear", rules.name)
        one.pull(readings(BEGAN, BEGAN + 3 * HOUR))
        (during,) = look_at(one, BEGAN + 3 * HOUR)
        assert during.state == "smoke"
        assert abs(during.since - BEGAN) <= HOUR
        assert 200 < (during.level or 0) < 300
        assert (during.trend or 0) > 150
        assert during.healthy == SENSORS
        # What has the state of before keeps its beginning.
        one.pull(readings(BEGAN + 3 * HOUR, ENDED + 4 * HOUR))
        (later,) = look_at(one, ENDED)
        assert (later.state, later.since) == ("smoke", during.since)
        (after,) = look_at(one, ENDED + 4 * HOUR)
        assert after.state == "clear"
        assert after.since <= ENDED + 4 * HOUR
        assert rows(one.connection, "SELECT state, as_of FROM conditions") == [("clear", ENDED + 4 * HOUR)]


def test_looks_warn_anew_as_long_as_slack_could_not_be_told_in_time() -> None:
    with pipeline() as one:
        one.change(rules=NETWORK)
        run_up_to(one, BEGAN + 8 * HOUR)
        moments = [BEGAN + 4 * HOUR + number * HOUR / 4 for number in range(5)]
        for moment in moments:
            look_at(one, moment)
        told = rows(
            one.connection, "SELECT kind, status, as_of FROM slack_alerts WHERE as_of IS NOT NULL ORDER BY as_of"
        )
        assert told == [("early", "superseded", moments[0]), ("early", "pending", moments[3])]


def test_a_lone_sensor_tells_smoke_by_three_hours_that_all_have_it() -> None:
    def spike(sensor: str, moment: datetime) -> float:
        return 900.0 + moment.minute if moment >= BEGAN + 2 * HOUR else air(sensor, moment - timedelta(days=1))

    with pipeline() as one:
        one.change(rules=NETWORK)
        run_up_to(one, BEGAN + 3 * HOUR, sensors=SENSORS[:1], pm25=spike)
        (found,) = look_at(one, BEGAN + 3 * HOUR)
        assert (found.level or 0) > 35.5
        assert found.state == "clear"
        assert "too little to tell smoke by one sensor" in found.reason


def test_without_three_hours_of_a_healthy_sensor_nothing_is_known() -> None:
    with pipeline() as one:
        one.change(rules=NETWORK)
        run_up_to(one, BEGAN + 4 * HOUR)
        assert [found.state for found in look_at(one, BEGAN + 4 * HOUR)] == ["smoke"]
        (found,) = look_at(one, BEGAN + 6 * HOUR)
        assert (found.state, found.level, found.since) == ("unknown", None, BEGAN + 6 * HOUR)
        (found,) = look_at(one, BEGAN + 30 * HOUR)
        assert "No sensor of the region has reported for twelve hours." in found.reason
        assert found.since == BEGAN + 6 * HOUR


def test_a_broken_sensor_has_no_say_in_the_air_of_now() -> None:
    def air_or_stuck(sensor: str, moment: datetime) -> float:
        return 5000.0 if sensor == SENSORS[0] and moment >= FIRST_WINDOW + 30 * HOUR else air(sensor, moment)

    with pipeline() as one:
        one.change(rules=NETWORK)
        run_up_to(one, BEGAN, pm25=air_or_stuck)
        (found,) = look_at(one, BEGAN)
        assert (found.state, found.broken, found.healthy) == ("clear", SENSORS[:1], SENSORS[1:])


def test_what_an_operator_knows_of_a_sensor_holds_from_its_window_on() -> None:
    with pipeline() as one:
        one.change(rules=NETWORK)
        run_up_to(one, BEGAN)
        window = window_start(BEGAN)
        record_trouble(one.connection, Record(SENSORS[0], "broken", window, window + 9 * HOUR, "a spider", window))
        record_trouble(one.connection, Record(SENSORS[1], "excluded", window, None, "moved", window))
        (found,) = look_at(one, BEGAN)
        assert (found.healthy, found.broken) == (SENSORS[2:], SENSORS[:1])
        (before,) = look_at(one, window - HOUR)
        assert before.healthy == SENSORS


def test_a_pipeline_that_is_far_behind_tells_no_smoke_by_the_notebook_rules() -> None:
    with pipeline() as one:
        one.change(rules=NOTEBOOK)
        one.pull(readings(FIRST_WINDOW, BEGAN + 3 * HOUR))
        (found,) = look_at(one, BEGAN + 3 * HOUR)
        assert found.state == "unknown"
        assert "windows wait to be scored" in found.reason


CLOSED_TABLES = {
    "readings": "SELECT * EXCLUDE (ingested_at) FROM readings ORDER BY ALL",
    "sensors": "FROM sensors ORDER BY ALL",
    "sensor_health": "FROM sensor_health ORDER BY ALL",
    "regional_hours": "FROM regional_hours ORDER BY ALL",
    "verdicts told": "SELECT * EXCLUDE (created_at, alert_id) FROM slack_alerts WHERE kind = 'verdict' ORDER BY ALL",
}


@pytest.mark.parametrize("rules", RULE_SETS.values(), ids=RULE_SETS)
def test_closed_windows_come_to_the_same_whether_anybody_looked_or_not(rules: Any) -> None:
    chance = random.Random(7)  # noqa: S311 (no secret)
    sent = readings(FIRST_WINDOW, CLOSED.end)
    outcomes = []
    for looks in (True, False):
        with pipeline() as one:
            one.change(rules=rules)
            per_window = len(sent) // len(CLOSED)
            for number, start in enumerate(CLOSED):
                of_window = sent[number * per_window : (number + 1) * per_window]
                hours = sorted(chance.sample(range(1, 12), 3)) if looks else []
                bounds = [0, *(per_window * hour // 12 for hour in hours), per_window]
                for hour, (begin, end) in zip([*hours, 12], pairwise(bounds), strict=True):
                    one.pull(of_window[begin:end])
                    if looks:
                        look_at(one, start + hour * HOUR + timedelta(minutes=5))
                one.run(WindowRange(start, start))
            outcomes.append(one.tables() | {name: rows(one.connection, query) for name, query in CLOSED_TABLES.items()})
            assert rows(one.connection, "SELECT count(*) > 0 FROM conditions") == [(looks,)]
    looked, undisturbed = outcomes
    assert "smoke" in str(undisturbed["regional_windows"])
    for name in undisturbed:
        assert looked[name] == undisturbed[name], name


def test_the_hours_of_a_region_are_those_of_its_healthy_sensors() -> None:
    def air_or_stuck(sensor: str, moment: datetime) -> float:
        return 5000.0 if sensor == SENSORS[0] and moment >= FIRST_WINDOW + 30 * HOUR else air(sensor, moment)

    with pipeline() as one:
        run_up_to(one, CLOSED.end, pm25=air_or_stuck)
        health = health_by_window(one.connection, CLOSED)
        expected = {
            start + hour * HOUR: sum(row.is_healthy for row in health[start]) for start in CLOSED for hour in range(12)
        }
        found = dict(rows(one.connection, "SELECT hour, healthy FROM regional_hours"))
        assert found == {hour: number for hour, number in expected.items() if number}
        assert set(found.values()) == {2, 3}
        look_at(one, CLOSED.end)
        assert dict(rows(one.connection, "SELECT hour, healthy FROM regional_hours")) == found


def test_a_look_leaves_the_hours_of_a_judged_window_as_they_were_judged() -> None:
    def stuck_at_last(sensor: str, moment: datetime) -> float:
        return 5000.0 if sensor == SENSORS[0] and moment >= CLOSED.end else air(sensor, moment)

    closed = "FROM regional_hours WHERE hour < ? ORDER BY ALL"
    with pipeline() as one:
        one.change(rules=NETWORK)
        run_up_to(one, CLOSED.end + 7 * HOUR, pm25=stuck_at_last)
        judged = one.connection.execute(closed, [CLOSED.end]).fetchall()
        (found,) = look_at(one, CLOSED.end + 7 * HOUR)
        assert found.broken == SENSORS[:1]
        assert one.connection.execute(closed, [CLOSED.end]).fetchall() == judged
        open_hours = one.connection.execute("SELECT healthy FROM regional_hours WHERE hour >= ?", [CLOSED.end])
        assert {healthy for (healthy,) in open_hours.fetchall()} == {2}
