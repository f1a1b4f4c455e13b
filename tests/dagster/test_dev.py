"""A real `dagster dev`: a backfill launched as the UI launches it, its partitions, and Slack told."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
import requests

from aqi_dagster.demo.summer import Summer
from aqi_dagster.demo.webhook import WebhookReceiver
from aqi_dagster.feeds.producer import produce
from aqi_dagster.foreign_warnings import NO_CURSOR, PYTHON_WARNINGS, SETTINGS_IN_TWO_PLACES
from aqi_dagster.instance.event_log import BEFORE_ITS_FIRST_STEP, BatchingSqliteEventLog
from aqi_dagster.partitions import FIRST_WINDOW
from aqi_dagster.windows import WINDOW_LENGTH, window_key
from tests.support.dagster_dev import DagsterDev, dagster_dev
from tests.support.places import TOP
from tests.support.topics import Topic
from tests.support.waiting import LIMIT_SECONDS, wait_for
from tests.support.write_ahead_log import commits, log_kept

# The readings of four windows, and many windows without any.
KEYS = [window_key(FIRST_WINDOW + number * WINDOW_LENGTH) for number in range(40)]

ASSETS = ["readings", "sensor_health", "scored_readings", "anomalies", "regional_windows"]

RUNS = """
{ runsOrError(filter: {pipelineName: "tell_slack"}) { ... on Runs { results { runId status tags { key value } } } } }
"""

MESSAGES = """
query ($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events { ... on MessageEvent { message } } } } }
"""


@pytest.fixture
def slack() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as slack:
        yield slack


@pytest.fixture
def ops() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as ops:
        yield ops


@pytest.fixture
def server(
    topic: Topic, slack: WebhookReceiver, ops: WebhookReceiver, tmp_path: Path, unused_port: int
) -> Iterator[DagsterDev]:
    """`dagster dev` in an empty home, on a topic with the first days of a synthetic summer."""
    messages = Summer(FIRST_WINDOW).messages(FIRST_WINDOW, FIRST_WINDOW + timedelta(days=2))
    produce({"bootstrap.servers": topic.servers}, topic.name, messages)
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": topic.servers,
        "KAFKA_TOPIC": topic.name,
        "SLACK_WEBHOOK_URL": slack.url,
        "SLACK_OPS_WEBHOOK_URL": ops.url,
    }
    # Dagster would say of this one that it is not used.
    shutil.copy(TOP / "dagster.yaml", tmp_path)
    with dagster_dev(tmp_path, settings, unused_port) as server:
        yield server
    # With the command its webserver, daemon and code servers must have ended too.
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{server.url}/server_info", timeout=LIMIT_SECONDS)


def test_a_backfill_from_the_ui_materializes_its_partitions_and_slack_is_told(
    server: DagsterDev, slack: WebhookReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    events = tmp_path / "dagster" / "history" / "runs" / "index.db"
    with dg.DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
        assert isinstance(instance.event_log_storage, BatchingSqliteEventLog)
    with log_kept(events):
        before = commits(events)
        backfill = server.launch_backfill(KEYS)
        assert wait_for("end of the backfill", lambda: server.end_of_backfill(backfill)) == "COMPLETED_SUCCESS"
        # The daemon planned its run, which a process of the code server executed; each would be 200 one by one.
        assert commits(events) - before < len(ASSETS) * len(KEYS) / 2
    expected = {"numMaterialized": len(KEYS), "numFailed": 0}
    assert server.partitions() == dict.fromkeys(ASSETS, expected)

    assert wait_for("message to Slack", lambda: slack.messages)
    (payload,) = slack.messages
    assert payload["text"].startswith("1 older window classified")
    (run,) = server.query(RUNS)["runsOrError"]["results"]
    assert {"key": "dagster/sensor_name", "value": "classified_windows"} in run["tags"]
    # Until its first step nothing else says what a run does.
    told = [event["message"] for event in server.query(MESSAGES, id=run["runId"])["logsForRun"]["events"]]
    assert told.index(BEFORE_ITS_FIRST_STEP) < told.index('Started execution of step "slack_alerts".')

    output = (tmp_path / "log").read_text()
    assert "Launching Dagster services" in output
    assert [words for words in [*PYTHON_WARNINGS, NO_CURSOR, SETTINGS_IN_TWO_PLACES] if words in output] == []
