"""Regional windows and the outbox: what Slack is to be told when a verdict is new, changes or goes."""

from typing import Any

import pytest
from duckdb import DuckDBPyConnection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aqi_dagster.pipeline.detection.anomalies import Thresholds, select_anomalies
from aqi_dagster.pipeline.verdicts.classify_windows import classify_windows
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange
from tests.support.messages import FIRST_WINDOW
from tests.support.tables import rows
from tests.support.verdicts import MALFUNCTION, NOTHING, REGION, SMOKE, find

WINDOW, NEXT = FIRST_WINDOW, FIRST_WINDOW + WINDOW_LENGTH


def tell(connection: DuckDBPyConnection) -> None:
    """Let Slack have taken everything that is pending."""
    connection.execute("UPDATE slack_alerts SET status = 'sent' WHERE status = 'pending'")


def outbox(connection: DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return rows(connection, "SELECT verdict, previous_verdict, status FROM slack_alerts ORDER BY alert_id")


def test_a_new_verdict_is_queued_with_its_window(connection: DuckDBPyConnection) -> None:
    find(connection, WINDOW, SMOKE)
    find(connection, NEXT, MALFUNCTION)
    assert rows(
        connection, "SELECT region, window_start, verdict, previous_verdict, status FROM slack_alerts ORDER BY 2"
    ) == [
        ("Lake Tahoe", WINDOW, "smoke", None, "pending"),
        ("Lake Tahoe", NEXT, "malfunction", None, "pending"),
    ]
    assert rows(
        connection,
        "SELECT window_start, window_end, sensors, count_anomalies, max_pm25, verdict FROM regional_windows ORDER BY 1",
    ) == [
        (WINDOW, NEXT, SMOKE, 2, 501.0, "smoke"),
        (NEXT, NEXT + WINDOW_LENGTH, MALFUNCTION, 1, 500.0, "malfunction"),
    ]


@pytest.mark.parametrize("status", ["pending", "sent", "not_sent"])
def test_an_unchanged_verdict_adds_nothing(connection: DuckDBPyConnection, status: str) -> None:
    find(connection, WINDOW, SMOKE)
    connection.execute("UPDATE slack_alerts SET status = ?", [status])
    find(connection, WINDOW, [*SMOKE, "45.3, -122"])
    assert outbox(connection) == [("smoke", None, status)]
    assert rows(connection, "SELECT count_sensors FROM regional_windows") == [(3,)]


@pytest.mark.parametrize("status", ["pending", "not_sent"])
def test_a_verdict_that_changes_before_it_was_told_replaces_the_old_one(
    connection: DuckDBPyConnection, status: str
) -> None:
    find(connection, WINDOW, MALFUNCTION)
    connection.execute("UPDATE slack_alerts SET status = ?", [status])
    find(connection, WINDOW, SMOKE)
    assert outbox(connection) == [("malfunction", None, "superseded"), ("smoke", None, "pending")]


def test_a_verdict_that_changes_after_it_was_told_is_a_correction(connection: DuckDBPyConnection) -> None:
    find(connection, WINDOW, MALFUNCTION)
    tell(connection)
    find(connection, WINDOW, SMOKE)
    assert outbox(connection) == [("malfunction", None, "sent"), ("smoke", "malfunction", "pending")]


def test_a_told_window_that_holds_no_anomaly_any_more_is_withdrawn(connection: DuckDBPyConnection) -> None:
    find(connection, WINDOW, SMOKE)
    tell(connection)
    find(connection, WINDOW, NOTHING)
    assert outbox(connection) == [("smoke", None, "sent"), ("withdrawn", "smoke", "pending")]
    assert rows(connection, "SELECT * FROM regional_windows") == []
    tell(connection)
    find(connection, WINDOW, MALFUNCTION)
    assert outbox(connection)[2:] == [("malfunction", "withdrawn", "pending")]


def test_a_window_that_was_never_told_goes_without_a_word(connection: DuckDBPyConnection) -> None:
    find(connection, WINDOW, SMOKE)
    find(connection, WINDOW, NOTHING)
    find(connection, WINDOW, NOTHING)
    assert outbox(connection) == [("smoke", None, "superseded")]


def test_a_verdict_that_comes_back_to_what_was_told_needs_no_message(connection: DuckDBPyConnection) -> None:
    find(connection, WINDOW, SMOKE)
    tell(connection)
    for change in (MALFUNCTION, NOTHING, MALFUNCTION):
        find(connection, WINDOW, change)
        find(connection, WINDOW, SMOKE)
    assert {status for *_, status in outbox(connection)[1:]} == {"superseded"}
    assert outbox(connection)[0] == ("smoke", None, "sent")


FINDINGS = st.sampled_from([SMOKE, MALFUNCTION, NOTHING])


@given(steps=st.lists(st.tuples(FINDINGS, st.booleans()), max_size=8))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_once_all_is_told_slack_knows_the_present_verdict_of_every_window(
    connection: DuckDBPyConnection, steps: list[tuple[list[str], bool]]
) -> None:
    connection.execute("DELETE FROM slack_alerts")
    connection.execute("DELETE FROM regional_windows")
    told = None
    for sensors, is_told in steps:
        find(connection, WINDOW, sensors)
        pending = rows(connection, "SELECT verdict, previous_verdict FROM slack_alerts WHERE status = 'pending'")
        present = {0: "withdrawn" if told else None, 1: "malfunction", 2: "smoke"}[len(sensors)]
        assert pending == ([] if present == told else [(present, told)])
        if is_told:
            tell(connection)
            told = present


def test_anomalies_exceed_both_thresholds(connection: DuckDBPyConnection) -> None:
    scored = [("a", 51.0, 0.71), ("b", 50.0, 0.9), ("c", 900.0, 0.7), ("d", 50.01, 0.7001), ("e", 10.0, 1.0)]
    for sensor, pm25, score in scored:
        connection.execute("INSERT INTO scored_readings VALUES (?, ?, ?, ?, ?)", [sensor, WINDOW, WINDOW, pm25, score])
    assert select_anomalies(connection, WindowRange.of([WINDOW, NEXT]), Thresholds()) == {WINDOW: 2, NEXT: 0}
    assert rows(connection, "SELECT sensor, pm25_cf1, score FROM anomalies ORDER BY ALL") == [scored[0], scored[3]]
    assert select_anomalies(connection, WindowRange.of([WINDOW]), Thresholds(0.7, 51.0)) == {WINDOW: 0}
    assert rows(connection, "SELECT * FROM anomalies") == []


def test_only_the_windows_that_are_asked_for_are_written(connection: DuckDBPyConnection) -> None:
    for window in (WINDOW, NEXT):
        connection.execute("INSERT INTO scored_readings VALUES ('a', $w, $w, 500, 0.9)", {"w": window})
    select_anomalies(connection, WindowRange.of([WINDOW, NEXT]), Thresholds())
    connection.execute("DELETE FROM scored_readings")
    select_anomalies(connection, WindowRange.of([NEXT]), Thresholds())
    assert rows(connection, "SELECT window_start FROM anomalies") == [(WINDOW,)]
    classified = classify_windows(connection, WindowRange.of([WINDOW, NEXT]), REGION)
    assert [len(found) for found in classified.values()] == [1, 0]
    assert rows(connection, "SELECT window_start FROM regional_windows") == [(WINDOW,)]
