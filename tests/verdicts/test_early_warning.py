"""What is told of smoke while it lasts: warned once, said once a window to go on, and over after six clear hours."""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.sql import Writer, transaction
from aqi_dagster.pipeline.verdicts.conditions import Condition, overwrite_conditions
from aqi_dagster.pipeline.verdicts.early_warning import moments_of, unconfirmed
from aqi_dagster.pipeline.verdicts.outbox.attempts import give_up, record_attempt, record_sent
from aqi_dagster.pipeline.verdicts.outbox.channels import tell_channels, told_channels
from aqi_dagster.pipeline.verdicts.outbox.due_alerts import due_alerts
from aqi_dagster.pipeline.verdicts.outbox.moments import MOMENT
from aqi_dagster.pipeline.verdicts.outbox.queue import last_moments, queue_due_moments, queue_moments, supersede_stale
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange
from tests.support.messages import at
from tests.support.tables import rows
from tests.support.verdicts import NOTHING, SMOKE, find

HOUR = timedelta(hours=1)

WINDOW = at("2026-11-20")

SMOKY = Condition(
    region="Lake Tahoe",
    as_of=WINDOW + 2 * HOUR,
    level=120.0,
    trend=60.0,
    state="smoke",
    since=WINDOW - HOUR,
    healthy=["45.1, -122"],
    broken=[],
    rules="network",
    nowcast=100.0,
    aqi_of_nowcast=180,
    reason="The only healthy sensor read 120 ug/m3.",
)


def condition(state: Any, as_of: datetime, since: datetime) -> Condition:
    return replace(SMOKY, state=state, as_of=as_of, since=since)


def look(writer: Writer, one: Condition, told: bool = True) -> list[str]:
    """Queue what a look tells, have it told, and return its kinds."""
    moments = moments_of([one], last_moments(writer))
    with transaction(writer):
        overwrite_conditions(writer, [one])
        queue_moments(writer, moments)
    if told:
        for alert in due_alerts(writer):
            record_attempt(writer, [alert.alert_id], one.as_of)
            record_sent(writer, {alert.alert_id: "smoke"}, False, one.as_of)
    return [moment.kind for moment in moments]


def test_an_episode_is_told_from_its_warning_to_the_all_clear(connection: Writer) -> None:
    told = []
    for quarter in range(4 * 40):
        as_of = WINDOW + 2 * HOUR + quarter * HOUR / 4
        ended = WINDOW + 27 * HOUR
        smoky = as_of < ended
        one = condition("smoke" if smoky else "clear", as_of, WINDOW - HOUR if smoky else ended)
        told += [(kind, as_of - WINDOW) for kind in look(connection, one)]
    assert told == [("early", 2 * HOUR), ("ongoing", 18 * HOUR), ("all_clear", 33 * HOUR)]
    assert rows(connection, "SELECT kind, verdict, status FROM slack_alerts ORDER BY alert_id") == [
        ("early", "smoke", "sent"),
        ("ongoing", "smoke", "sent"),
        ("all_clear", "clear", "sent"),
    ]


def test_smoke_that_comes_back_within_six_hours_is_the_same(connection: Writer) -> None:
    assert look(connection, SMOKY) == ["early"]
    clear = WINDOW + 4 * HOUR
    assert look(connection, condition("clear", clear + 5 * HOUR, clear)) == []
    assert look(connection, condition("unknown", clear + 6 * HOUR, clear + 6 * HOUR)) == []
    assert look(connection, condition("smoke", clear + 7 * HOUR, clear + 7 * HOUR)) == []
    cleared = clear + 9 * HOUR
    assert look(connection, condition("clear", cleared + 6 * HOUR, cleared)) == ["all_clear"]
    assert look(connection, condition("clear", cleared + 9 * HOUR, cleared)) == []
    assert look(connection, condition("smoke", cleared + 10 * HOUR, cleared + 9 * HOUR)) == ["early"]


def test_a_warning_that_waits_too_long_is_never_told_as_now(connection: Writer) -> None:
    assert look(connection, SMOKY, told=False) == ["early"]
    assert look(connection, replace(SMOKY, as_of=SMOKY.as_of + HOUR / 4), told=False) == []
    give_up(connection, SMOKY.as_of + MOMENT)
    assert [alert.kind for alert in due_alerts(connection)] == ["early"]
    give_up(connection, SMOKY.as_of + MOMENT + timedelta(seconds=1))
    assert due_alerts(connection) == []
    # Nobody was warned, so the next look warns anew, of its own moment.
    later = replace(SMOKY, as_of=SMOKY.as_of + HOUR, level=130.0)
    assert look(connection, later) == ["early"]
    assert rows(connection, "SELECT status, level, as_of FROM slack_alerts ORDER BY alert_id") == [
        ("superseded", 120.0, SMOKY.as_of),
        ("sent", 130.0, later.as_of),
    ]


def test_a_channel_that_was_away_is_warned_anew_and_each_hears_the_all_clear_of_what_it_was_told(
    connection: Writer,
) -> None:
    tell_channels(connection, ["email", "webhook"], SMOKY.as_of, timedelta(hours=48))
    away = {"slack": 4, "webhook": 10_000}
    told: dict[str, list[tuple[str, timedelta]]] = {name: [] for name in told_channels(connection)}
    for quarter in range(4 * 40):
        as_of, ended = WINDOW + 2 * HOUR + quarter * HOUR / 4, WINDOW + 27 * HOUR
        one = condition("smoke", as_of, WINDOW - HOUR) if as_of < ended else condition("clear", as_of, ended)
        with transaction(connection):
            supersede_stale(connection, as_of)
            queue_due_moments(connection, partial(moments_of, [one]))
        for channel, heard in told.items():
            for alert in due_alerts(connection, channel) if quarter >= away.get(channel, 0) else []:
                record_attempt(connection, [alert.alert_id], as_of, channel)
                record_sent(connection, {alert.alert_id: "smoke"}, False, as_of, channel)
                heard.append((alert.kind, (alert.as_of or as_of) - WINDOW))
    usual = [("early", 2 * HOUR), ("ongoing", 18 * HOUR), ("all_clear", 33 * HOUR)]
    # Slack came back in the midst of the half hour of a second warning, of its own moment.
    assert told == {"slack": [("early", 2.75 * HOUR), *usual[1:]], "email": usual, "webhook": []}
    # Who was told nothing is not told that it is over.
    assert rows(connection, "FROM channel_alerts WHERE channel = 'webhook' AND kind = 'all_clear'") == []
    sent = rows(
        connection, "SELECT channel, count(*) FROM channel_alerts WHERE status = 'sent' GROUP BY ALL ORDER BY ALL"
    )
    assert sent == [("email", 3), ("slack", 3)]


def test_what_was_told_of_a_moment_is_never_rewritten(connection: Writer) -> None:
    look(connection, SMOKY)
    before = rows(connection, "FROM slack_alerts")
    for sensors in (SMOKE, NOTHING, SMOKE):
        find(connection, WINDOW, sensors)
    assert rows(connection, "FROM slack_alerts WHERE kind = 'early'") == before


@pytest.mark.parametrize(
    ("verdict", "now", "withdrawn"),
    [
        (NOTHING, condition("clear", WINDOW + 12 * HOUR, WINDOW + 11 * HOUR), True),
        (NOTHING, condition("unknown", WINDOW + 12 * HOUR, WINDOW + 11 * HOUR), True),
        # It may be the beginning of smoke that the next window tells.
        (NOTHING, replace(SMOKY, as_of=WINDOW + 12 * HOUR), False),
        (SMOKE, condition("clear", WINDOW + 12 * HOUR, WINDOW + 11 * HOUR), False),
    ],
    ids=["clear", "unknown", "smoke goes on", "confirmed"],
)
def test_the_end_of_the_window_withdraws_a_warning_that_it_does_not_confirm(
    connection: Writer, verdict: list[str], now: Condition, withdrawn: bool
) -> None:
    look(connection, SMOKY)
    look(connection, now)
    find(connection, WINDOW, verdict)
    ended = WindowRange(WINDOW, WINDOW)
    moment = WINDOW + WINDOW_LENGTH + 10 * HOUR / 60
    found = unconfirmed(connection, [now], last_moments(connection), ended, moment)
    assert [(one.kind, one.verdict, one.as_of) for one in found] == [("all_clear", "withdrawn", moment)] * withdrawn
    # A backfill of that window, long after, withdraws nothing.
    assert unconfirmed(connection, [now], last_moments(connection), ended, moment + WINDOW_LENGTH) == []


def test_a_look_that_dies_leaves_neither_its_condition_nor_its_warning(store: Store) -> None:
    def look_and_die(writer: Writer) -> None:
        with transaction(writer):
            overwrite_conditions(writer, [SMOKY])
            queue_moments(writer, moments_of([SMOKY], last_moments(writer)))
            raise KeyboardInterrupt

    with store.exclusive() as writer, pytest.raises(KeyboardInterrupt):
        look_and_die(writer)
    with store.exclusive() as writer:
        assert rows(writer, "SELECT (SELECT count(*) FROM conditions), (SELECT count(*) FROM slack_alerts)") == [(0, 0)]
        assert look(writer, SMOKY) == ["early"]
