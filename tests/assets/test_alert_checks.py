"""The checks of the alerts, through the real job: what Slack may not have, and what waits although it was tried."""

from pathlib import Path

import dagster as dg
import pytest

from aqi_dagster.definitions import defs
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.verdicts.outbox.attempts import send_again
from tests.support.outbox import classify
from tests.support.slack_server import Answer, Slack
from tests.support.verdicts import SMOKE
from tests.support.waiting import LIMIT_SECONDS


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slack: Slack) -> Store:
    """The store of the settings, with an alert that is to be told to the Slack of the settings."""
    monkeypatch.setenv("AQI_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SLACK_WEBHOOK_URL", slack.url)
    store = Store(tmp_path, LIMIT_SECONDS)
    classify(store, ended=SMOKE)
    return store


def tell(instance: dg.DagsterInstance) -> tuple[bool, dict[str, str]]:
    """Run the job: whether it succeeded, and the texts of the checks that did not pass, by name."""
    result = defs().resolve_job_def("tell_slack").execute_in_process(instance=instance, raise_on_error=False)
    found = result.get_asset_check_evaluations()
    assert {check.check_name for check in found} == {"outcomes_known", "alerts_told"}
    return result.success, {check.check_name: check.description or "" for check in found if not check.passed}


def test_an_alert_that_was_told_passes_both(store: Store, instance: dg.DagsterInstance) -> None:
    assert tell(instance) == (True, {})


def test_what_waits_is_named_although_the_run_fails(store: Store, slack: Slack, instance: dg.DagsterInstance) -> None:
    slack.answers = [Answer(404, "no_service"), Answer()]
    succeeded, failed = tell(instance)
    assert not succeeded
    assert set(failed) == {"alerts_told"}
    assert "alert 1 (smoke in Lake Tahoe" in failed["alerts_told"]
    assert "is pending after 1 attempts: Slack did not take the message: HTTP 404 no_service" in failed["alerts_told"]
    assert tell(instance) == (True, {})


def test_what_may_have_been_told_is_named_until_it_is_sent_again(
    store: Store, slack: Slack, instance: dg.DagsterInstance
) -> None:
    slack.answers = [Answer(200, "<html>"), Answer()]
    succeeded, failed = tell(instance)
    assert not succeeded
    assert "is refused after 1 attempts: HTTP 200 without" in failed["outcomes_known"]
    assert "aqi-dagster alert --again" in failed["outcomes_known"]
    succeeded, failed = tell(instance)
    assert succeeded
    assert set(failed) == {"outcomes_known"}
    with store.exclusive() as writer:
        assert send_again(writer) == 1
    assert tell(instance) == (True, {})
    assert len(slack.payloads) == 2
