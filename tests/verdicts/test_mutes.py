"""Muted regions: smoke in them is recorded and not told, and the mute is told once."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from aqi_dagster.cli import main
from aqi_dagster.pipeline.alerts.dispatch import dispatch
from aqi_dagster.pipeline.alerts.webhook import Webhook
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.pipeline.verdicts.conditions import Condition
from aqi_dagster.pipeline.verdicts.early_warning import moments_of
from aqi_dagster.pipeline.verdicts.mutes import Mute, muted_regions, record_mute
from aqi_dagster.pipeline.verdicts.outbox.attempts import due_again, give_up
from aqi_dagster.pipeline.verdicts.outbox.due_alerts import due_alerts
from aqi_dagster.pipeline.verdicts.outbox.queue import MOMENT, queue_mute
from aqi_dagster.windows import utc_now
from tests.support.messages import at
from tests.support.outbox import DIGEST_AFTER, classify, outbox
from tests.support.slack_server import Slack
from tests.support.verdicts import MALFUNCTION, NOTHING, SMOKE
from tests.support.waiting import LIMIT_SECONDS

DAY = timedelta(days=1)

SMOKY = Condition(
    "Lake Tahoe", at("2026-07-05 02:00"), 90.0, 50.0, "smoke", at("2026-07-05"), [], [], "network", 90.0, 170, "Smoke."
)


def mute(writer: Writer, until: timedelta) -> None:
    record_mute(writer, Mute("Lake Tahoe", utc_now(), utc_now() + until, "fireworks"))


def test_smoke_in_a_muted_region_is_recorded_and_not_told(store: Store, slack: Slack) -> None:
    post = Webhook(slack.url, timeout=LIMIT_SECONDS, attempts=1).post
    with store.exclusive() as writer:
        mute(writer, DAY)
    classify(store, before=SMOKE, ended=MALFUNCTION)
    assert dispatch(store, post, DIGEST_AFTER).sent == 1
    assert outbox(store) == [("smoke", "muted"), ("malfunction", "sent")]
    # Once it is told again, what was not told is not withdrawn, and a new verdict is told.
    with store.exclusive() as writer:
        mute(writer, timedelta(0))
    classify(store, before=NOTHING, ended=SMOKE)
    assert dispatch(store, post, DIGEST_AFTER).sent == 1
    assert [text.split(" in ")[0] for text in slack.texts] == ["Malfunctioning Sensor", "Suspected Smoke Event"]


def test_smoke_that_outlasts_a_mute_is_warned_of_then(connection: Writer) -> None:
    record_mute(connection, Mute("Lake Tahoe", SMOKY.as_of - DAY, SMOKY.as_of + DAY, "burn"))
    for later, kinds in [(timedelta(0), []), (DAY - timedelta(minutes=1), []), (DAY, ["early"])]:
        one = replace(SMOKY, as_of=SMOKY.as_of + later)
        muted = muted_regions(connection, one.as_of)
        assert [moment.kind for moment in moments_of([one], {}, muted)] == kinds
    assert muted_regions(connection, SMOKY.as_of) == {"Lake Tahoe": SMOKY.as_of + DAY}


def test_a_mute_is_told_however_long_slack_was_away(connection: Writer) -> None:
    muted_at = SMOKY.as_of
    queue_mute(connection, Mute("Lake Tahoe", muted_at, muted_at + DAY, "burn"))
    later = muted_at + 3 * MOMENT
    give_up(connection, later)
    assert [alert.kind for alert in due_alerts(connection)] == ["muted"]
    assert due_again(connection, later, DIGEST_AFTER) == muted_at


def test_the_command_mutes_once_and_tells_the_channel(
    store: Store, slack: Slack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AQI_DATA_DIR", str(tmp_path))
    classify(store, ended=MALFUNCTION)
    post = Webhook(slack.url, timeout=LIMIT_SECONDS, attempts=1).post
    dispatch(store, post, DIGEST_AFTER)
    until = f"{utc_now() + DAY:%Y-%m-%dT%H:%M}"
    runner = CliRunner()
    wrong = runner.invoke(main, ["mute", "Tahoe", "--until", until])
    assert wrong.exit_code == 1
    assert "There is no region 'Tahoe'; there are: Lake Tahoe." in wrong.output
    assert "is past" in runner.invoke(main, ["mute", "Lake Tahoe", "--until", "2020-01-01"]).output
    done = runner.invoke(main, ["mute", "Lake Tahoe", "--until", until, "--reason", "*fireworks*"])
    assert (done.exit_code, "Lake Tahoe" in done.output) == (0, True)
    assert dispatch(store, post, DIGEST_AFTER).sent == 1
    assert dispatch(store, post, DIGEST_AFTER).sent == 0
    assert slack.texts[-1].startswith("Muted in Lake Tahoe, ")
    assert "\N{ASTERISK OPERATOR}fireworks\N{ASTERISK OPERATOR}" in slack.shown(1)
    ended = runner.invoke(main, ["mute", "Lake Tahoe", "--off"])
    assert "No region is muted." in ended.output
