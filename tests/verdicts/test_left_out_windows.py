"""Told verdicts of windows that a later first window leaves out are withdrawn: nobody stands by them any more."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from aqi_dagster.pipeline.verdicts.outbox.attempts import record_failure, record_sent
from aqi_dagster.pipeline.verdicts.outbox.due_alerts import due_alerts
from aqi_dagster.pipeline.verdicts.rule_sets import RULE_SETS
from aqi_dagster.windows import WindowRange, utc_now
from tests.support.messages import message
from tests.support.pipeline import CHOICES, Pipeline, pipeline
from tests.support.tables import rows
from tests.support.window_readings import SENSORS, STARTS

ALL = WindowRange(STARTS[0], STARTS[3])


@pytest.fixture
def ran() -> Iterator[Pipeline]:
    """A store with smoke in every window."""
    with pipeline() as ran:
        ran.pull(
            [
                message(sensor, start + timedelta(minutes=20 * number), 500.0 if number in (20, 21) else 9.0)
                for start in STARTS
                for number in range(36)
                for sensor in SENSORS
            ]
        )
        ran.run(ALL)
        yield ran


def tell(ran: Pipeline) -> None:
    """Let Slack take all that is due."""
    record_sent(ran.connection, {alert.alert_id: "told" for alert in due_alerts(ran.connection)}, False, utc_now())


def begin_with(ran: Pipeline, number: int) -> None:
    """Move the first window and run what that asks for."""
    ran.change(first_window=STARTS[number])
    ran.run(WindowRange(STARTS[number], ALL.last))


def outbox(ran: Pipeline, number: int) -> list[tuple[Any, ...]]:
    """What was queued of that window, but for the list of a Monday."""
    query = (
        "SELECT verdict, previous_verdict, status FROM slack_alerts "
        "WHERE window_start = ? AND kind <> 'weekly' ORDER BY alert_id"
    )
    return ran.connection.execute(query, [STARTS[number]]).fetchall()


def test_what_was_told_is_withdrawn_once_and_says_why(ran: Pipeline) -> None:
    tell(ran)
    for _ in range(2):
        begin_with(ran, 2)
    withdrawn = [("smoke", None, "sent"), ("withdrawn", "smoke", "pending")]
    assert [outbox(ran, number) for number in (0, 1)] == [withdrawn] * 2
    assert ("withdrawn", "smoke", "pending") not in outbox(ran, 2) + outbox(ran, 3)
    assert rows(ran.connection, "SELECT min(window_start) FROM regional_windows") == [(STARTS[2],)]
    reasons = {alert.reason for alert in due_alerts(ran.connection) if alert.window_start < STARTS[2]}
    assert reasons == {"The window lies before the first one now, and is not judged any more"}
    tell(ran)
    begin_with(ran, 2)
    assert outbox(ran, 0) == [("smoke", None, "sent"), ("withdrawn", "smoke", "sent")]


def test_a_withdrawal_that_slack_refuses_is_not_queued_again(ran: Pipeline) -> None:
    tell(ran)
    begin_with(ran, 2)
    waiting = [alert.alert_id for alert in due_alerts(ran.connection)]
    record_failure(ran.connection, waiting, "refused", "invalid_blocks", utc_now())
    begin_with(ran, 2)
    assert outbox(ran, 0) == [("smoke", None, "sent"), ("withdrawn", "smoke", "refused")]


def test_what_was_told_of_sensors_is_withdrawn_too() -> None:
    """By the rules that tell of sensors. One that is broken still is told of anew, in the first window."""
    with pipeline(replace(CHOICES, rules=RULE_SETS["network"])) as ran:
        ran.pull(
            [
                message(sensor, start + timedelta(minutes=20 * number), pm25 + number)
                for start in STARTS
                for number in range(36)
                for sensor, pm25 in zip(SENSORS, (9.0, 10.0, 3000.0), strict=True)
            ]
        )
        ran.run(ALL)
        assert outbox(ran, 0) == [("broken", None, "pending")]
        tell(ran)
        for _ in range(2):
            begin_with(ran, 2)
        assert outbox(ran, 0) == [("broken", None, "sent"), ("withdrawn", "broken", "pending")]
        assert outbox(ran, 2) == [("broken", None, "pending")]


def test_what_was_never_told_is_not_told_any_more(ran: Pipeline) -> None:
    begin_with(ran, 2)
    assert outbox(ran, 0) == [("smoke", None, "superseded")]


def test_a_verdict_that_slack_takes_meanwhile_is_withdrawn_after_it(ran: Pipeline) -> None:
    on_its_way = {alert.alert_id: "told" for alert in due_alerts(ran.connection)}
    begin_with(ran, 2)
    record_sent(ran.connection, on_its_way, False, utc_now())
    assert outbox(ran, 0) == [("smoke", None, "sent"), ("withdrawn", "smoke", "pending")]


def test_a_first_window_that_is_moved_back_tells_again_what_was_withdrawn(ran: Pipeline) -> None:
    tell(ran)
    begin_with(ran, 2)
    begin_with(ran, 0)
    assert outbox(ran, 0) == [("smoke", None, "sent"), ("withdrawn", "smoke", "superseded")]
    begin_with(ran, 2)
    tell(ran)
    begin_with(ran, 0)
    assert outbox(ran, 0)[2:] == [("withdrawn", "smoke", "sent"), ("smoke", "withdrawn", "pending")]


def test_windows_that_are_only_to_be_scored_anew_are_not_withdrawn(ran: Pipeline) -> None:
    """As an upgrade leaves them that joins two sensors: the runs that score them come one after the other."""
    tell(ran)
    ran.connection.execute(
        "UPDATE windows SET scored = NULL, revision = NULL, selected = NULL, classified = NULL, selection_hash = NULL "
        "WHERE window_start >= ?",
        [STARTS[1]],
    )
    ran.run(WindowRange(STARTS[0], STARTS[1]))
    assert {status for number in range(4) for *_, status in outbox(ran, number)} == {"sent"}
    ran.run(WindowRange(STARTS[2], STARTS[3]))
    assert {status for number in range(4) for *_, status in outbox(ran, number)} == {"sent"}
