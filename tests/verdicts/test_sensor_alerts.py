"""Sensors that break and get well, and rules that change: each is told once, to a real HTTP server."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aqi_dagster.pipeline.alerts.dispatch import DispatchReport, dispatch
from aqi_dagster.pipeline.alerts.webhook import Webhook
from aqi_dagster.pipeline.health.judge_windows import judge_windows
from aqi_dagster.pipeline.regions.base import OneRegion
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.pipeline.verdicts.classify_windows import classify_windows
from aqi_dagster.pipeline.verdicts.outbox.attempts import record_failure, record_sent, send_again
from aqi_dagster.pipeline.verdicts.outbox.due_alerts import due_alerts
from aqi_dagster.pipeline.verdicts.outbox.queue import queue_sensor_alerts
from aqi_dagster.pipeline.verdicts.regional_window import Rules
from aqi_dagster.pipeline.verdicts.rule_sets import RULE_SETS
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, utc_now, window_start
from tests.support.clocks import clock_at
from tests.support.health import REGION_NAME, everywhere, report, window_at
from tests.support.messages import FIRST_WINDOW, NOW
from tests.support.slack_server import Slack
from tests.support.tables import rows
from tests.support.waiting import LIMIT_SECONDS

NETWORK, NOTEBOOK = RULE_SETS["network"], RULE_SETS["notebook"]
BROKEN, FINE, ALSO = "45.1, -122", "45.2, -122", "45.3, -122"
FLAT = {"PM1.0_CF1_ug/m3": "900", "PM10.0_CF1_ug/m3": "900"}
EVENTS = "SELECT subject, window_start, verdict FROM slack_alerts WHERE kind = 'sensor' ORDER BY alert_id"

_HEALTH = """
INSERT INTO sensor_health BY NAME
SELECT
    ? AS sensor, ? AS window_start, ? AS region, ? AS fault, 12 AS hours, 5 AS mean_pm25, 5 AS max_hour_pm25,
    5 AS corrected_pm25, 0 AS hours_above_35, false AS unlike_neighbours, false AS is_new, false AS on_probation,
    false AS in_dispute, false AS is_local
"""


def take_in_windows(connection: Writer, broken: str) -> int:
    """Two good sensors, and one whose laser has failed in the windows of which ``broken`` has an x; their number."""
    for number, mark in enumerate(broken):
        report(connection, number, {FINE: 5, ALSO: 6} | ({} if mark == "x" else {BROKEN: 5.5}))
        if mark == "x":
            report(connection, number, {BROKEN: 900}, **FLAT)
    connection.execute("UPDATE windows SET scored = readings, revision = 1, selected = 1")
    return len(broken)


def run(connection: Writer, first: int, last: int, rules: Rules = NETWORK) -> None:
    """Judge and classify the windows from the one number to the other."""
    windows = WindowRange(window_at(first), window_at(last))
    judge_windows(connection, windows, FIRST_WINDOW, everywhere, "regions")
    classify_windows(connection, windows, OneRegion(REGION_NAME), rules=rules)


def waiting_ids(connection: Writer) -> set[int]:
    """The ids of the alerts that wait to be sent, or for a webhook."""
    return {alert.alert_id for alert in due_alerts(connection)}


@pytest.mark.parametrize(
    ("broken", "events"),
    [
        ("...x", [(3, "broken")]),
        ("x.x..", [(0, "broken"), (4, "well")]),
        ("x..x.", [(0, "broken"), (2, "well"), (3, "broken")]),
        ("xx.xx", [(0, "broken")]),
    ],
)
@pytest.mark.parametrize("in_one_run", [True, False])
def test_a_sensor_breaks_after_none_and_is_well_after_two(
    connection: Writer, broken: str, events: list[tuple[int, str]], in_one_run: bool
) -> None:
    count = take_in_windows(connection, broken)
    for first in [0] if in_one_run else range(count):
        run(connection, first, count - 1 if in_one_run else first)
    expected = [(BROKEN, window_at(number), verdict) for number, verdict in events]
    assert rows(connection, EVENTS) == expected
    run(connection, 0, count - 1)
    assert rows(connection, EVENTS) == expected


@pytest.mark.parametrize("days", [20, 40])
def test_what_is_queued_does_not_depend_on_where_a_run_begins(connection: Writer, days: int) -> None:
    """A sensor that was silent for weeks: what lies more than 30 days back counts in no run."""
    late = days * 2
    for number, fault in [(0, "flat"), (late, None), (late + 1, None)]:
        connection.execute(_HEALTH, [BROKEN, window_at(number), REGION_NAME, fault])
    in_runs = []
    for starts in [[0, late + 2], [0, 1, late, late + 1, late + 2], [0, late + 1, late + 2]]:
        connection.execute("DELETE FROM slack_alerts")
        for first, end in pairwise(starts):
            queue_sensor_alerts(connection, WindowRange(window_at(first), window_at(end - 1)), NOW)
        in_runs.append(rows(connection, EVENTS))
    well = [(BROKEN, window_at(late + 1), "well")] if days == 20 else []
    assert in_runs == [[(BROKEN, FIRST_WINDOW, "broken"), *well]] * 3


def put_health(connection: Writer, faults: str) -> WindowRange:
    """Have the sensor's health be what ``faults`` says window by window: x faulty, - silent; the windows."""
    connection.execute("DELETE FROM sensor_health")
    for number, mark in enumerate(faults):
        if mark != "-":
            connection.execute(_HEALTH, [BROKEN, window_at(number), REGION_NAME, "flat" if mark == "x" else None])
    return WindowRange(FIRST_WINDOW, window_at(len(faults) - 1))


def last_told(connection: Writer) -> dict[tuple[str, datetime], str]:
    """What Slack was told last of each sensor and window, that which was withdrawn left out."""
    told = rows(
        connection,
        "SELECT subject, window_start, verdict FROM slack_alerts WHERE sent_at IS NOT NULL "
        "AND kind = 'sensor' ORDER BY sent_at, alert_id",
    )
    last = {(subject, start): verdict for subject, start, verdict in told}
    return {place: verdict for place, verdict in last.items() if verdict != "withdrawn"}


STEPS = st.lists(st.tuples(st.text(".x-", min_size=6, max_size=6), st.booleans()), min_size=1, max_size=5)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_once_all_is_told_slack_knows_who_broke_and_who_is_well(
    connection: Writer, steps: list[tuple[str, bool]]
) -> None:
    """Health is made anew again and again, and alerts are sent before or after."""
    connection.execute("DELETE FROM slack_alerts")
    for number, (faults, is_told) in enumerate([*steps, (steps[-1][0], True)]):
        windows = put_health(connection, faults)
        queue_sensor_alerts(connection, windows, NOW)
        queue_sensor_alerts(connection, windows, NOW)
        if is_told:
            record_sent(connection, dict.fromkeys(waiting_ids(connection), "why"), False, NOW + timedelta(hours=number))
    assert waiting_ids(connection) == set()
    told = last_told(connection)
    connection.execute("DELETE FROM slack_alerts")
    queue_sensor_alerts(connection, windows, NOW)
    assert told == {(subject, start): verdict for subject, start, verdict in rows(connection, EVENTS)}


def test_a_break_that_changes_while_slack_takes_it_is_corrected(connection: Writer) -> None:
    """It was superseded when Slack's answer came: Slack knows of it, so it is withdrawn."""
    windows = put_health(connection, ".x.")
    queue_sensor_alerts(connection, windows, NOW)
    taken = waiting_ids(connection)
    put_health(connection, "...")
    connection.execute("INSERT INTO rule_changes VALUES ('network', '2022-07-01')")
    queue_sensor_alerts(connection, windows, NOW)
    assert waiting_ids(connection) == set()
    record_sent(connection, dict.fromkeys(taken, "why"), False, NOW)
    due = rows(connection, "SELECT verdict, previous_verdict FROM slack_alerts WHERE status = 'pending'")
    assert due == [("withdrawn", "broken")]


@pytest.mark.parametrize(("status", "due"), [("unknown", [("withdrawn", "broken")]), ("refused", [])])
def test_a_break_that_may_have_been_told_is_withdrawn_and_one_that_was_refused_is_let_go(
    connection: Writer, status: str, due: list[tuple[str, str]]
) -> None:
    windows = put_health(connection, ".x.")
    queue_sensor_alerts(connection, windows, NOW)
    record_failure(connection, [*waiting_ids(connection)], status, "why", NOW)
    put_health(connection, "...")
    queue_sensor_alerts(connection, windows, NOW)
    assert rows(connection, "SELECT verdict, previous_verdict FROM slack_alerts WHERE status = 'pending'") == due
    # Nobody has a broken sensor told that is not broken.
    assert send_again(connection) == 0


def test_a_break_that_was_told_and_was_none_is_withdrawn_with_what_was_told(store: Store, slack: Slack) -> None:
    post = Webhook(slack.url, timeout=LIMIT_SECONDS, attempts=1).post
    since_forever = timedelta(days=100_000)
    with store.exclusive() as connection:
        run(connection, 0, take_in_windows(connection, "..x") - 1)
    assert dispatch(store, post, since_forever) == DispatchReport(sent=1)
    with store.exclusive() as connection:
        connection.execute("UPDATE readings SET pm25_cf1 = 6 + hour(created_at) / 9, pm1_cf1 = NULL")
        run(connection, 0, 2)
    assert dispatch(store, post, since_forever) == DispatchReport(sent=1)
    withdrawn = slack.texts[-1]
    assert withdrawn.startswith(f"Alert Withdrawn in {BROKEN}, {REGION_NAME}")
    assert 'told before as "Broken Sensor"' in withdrawn
    assert "its laser has failed" in slack.shown(-1)


def test_what_waits_of_sensors_is_not_told_after_a_change_to_rules_that_tell_of_none(connection: Writer) -> None:
    run(connection, 0, take_in_windows(connection, "x..") - 1)
    waiting = rows(connection, "SELECT kind FROM slack_alerts WHERE status = 'pending' ORDER BY kind")
    assert waiting == [("sensor",), ("sensor",), ("weekly",)]
    run(connection, 2, 2, NOTEBOOK)
    assert waiting_ids(connection) == set()
    run(connection, 0, 2)
    assert waiting_ids(connection) == set()


def test_a_sensor_in_another_region_is_not_told_of_again(connection: Writer) -> None:
    run(connection, 0, take_in_windows(connection, ".x") - 1)
    connection.execute("UPDATE slack_alerts SET status = 'sent'")
    connection.execute("UPDATE sensor_health SET region = 'Carson City'")
    queue_sensor_alerts(connection, WindowRange(window_at(0), window_at(1)), NOW)
    assert rows(connection, EVENTS) == [(BROKEN, window_at(1), "broken")]


def test_rules_that_change_tell_nothing_of_windows_that_ended_before(connection: Writer) -> None:
    count = take_in_windows(connection, "..x...")
    run(connection, 0, count - 1, NOTEBOOK)
    assert rows(connection, "FROM slack_alerts") == []
    run(connection, 0, count - 1)
    run(connection, 0, count - 1)
    assert rows(connection, "FROM slack_alerts") == []
    assert rows(connection, "SELECT rules, verdict FROM regional_windows") == [("network", "malfunction")]
    assert rows(connection, "SELECT rules FROM rule_changes") == [("notebook",), ("network",)]


def classify_newest(connection: Writer, rules: Rules) -> None:
    """Classify the newest windows that ended; in the last of them a sensor is faulty."""
    ended = window_start(utc_now()) - WINDOW_LENGTH
    connection.execute("UPDATE sensor_health SET window_start = ? WHERE fault IS NOT NULL", [ended])
    connection.execute("UPDATE windows SET window_start = ? WHERE window_start = ?", [ended, window_at(1)])
    classify_windows(connection, WindowRange(ended, ended), OneRegion(REGION_NAME), rules=rules)


@pytest.mark.parametrize("judged_before", [False, True])
def test_new_rules_tell_of_the_newest_window_unless_the_others_judged_it(
    connection: Writer, judged_before: bool
) -> None:
    """The tick after a switch is about a window that the other rules never judged: it must not go untold."""
    take_in_windows(connection, ".x")
    judge_windows(connection, WindowRange(window_at(0), window_at(1)), FIRST_WINDOW, everywhere, "regions")
    classify_windows(connection, WindowRange(FIRST_WINDOW, FIRST_WINDOW), OneRegion(REGION_NAME), rules=NOTEBOOK)
    if judged_before:
        classify_newest(connection, NOTEBOOK)
    classify_newest(connection, NETWORK)
    told = rows(connection, "SELECT subject, verdict FROM slack_alerts WHERE kind = 'sensor'")
    assert told == ([] if judged_before else [(BROKEN, "broken")])


def test_new_rules_by_a_clock_that_is_ahead_tell_of_the_windows_to_come(connection: Writer) -> None:
    take_in_windows(connection, ".")
    run(connection, 0, 0, NOTEBOOK)
    with clock_at(NOW + timedelta(days=400)):
        run(connection, 0, 0)
    report(connection, 1, {BROKEN: 900}, **FLAT)
    connection.execute("UPDATE windows SET scored = readings, revision = 1, selected = 1")
    run(connection, 1, 1)
    assert rows(connection, EVENTS) == [(BROKEN, window_at(1), "broken")]


def test_a_broken_sensor_and_the_list_of_a_monday_are_told_once(store: Store, slack: Slack) -> None:
    """The first window of the tests is a Monday's."""
    post = Webhook(slack.url, timeout=LIMIT_SECONDS, attempts=1).post
    with store.exclusive() as connection:
        run(connection, 0, take_in_windows(connection, "x..") - 1)
    since_forever = timedelta(days=100_000)
    assert dispatch(store, post, since_forever) == DispatchReport(sent=3)
    broken, weekly, well = sorted(slack.texts, key=lambda text: text.startswith("Sensor Well"))
    assert broken.startswith("Broken Sensor")
    assert "counts as many particles below 1 um as below 10: its laser has failed" in broken
    assert f"1 sensor: {BROKEN}: Counts as many particles" in weekly
    assert well.endswith("no fault in the last two windows in which it took part")
    with store.exclusive() as connection:
        run(connection, 0, 2)
    assert dispatch(store, post, since_forever) == DispatchReport()


def test_a_network_row_without_anomalies_has_empty_old_columns(connection: Writer) -> None:
    run(connection, 0, take_in_windows(connection, "x") - 1)
    columns = (
        "verdict, sensors, count_sensors, count_anomalies, min_event, max_pm25, variation, max_pm25_corrected, "
        "confidence, healthy_sensors, broken_sensors"
    )
    assert rows(connection, f"SELECT {columns} FROM regional_windows") == [
        ("malfunction", [], 0, 0, None, None, None, None, None, [FINE, ALSO], [BROKEN])
    ]
