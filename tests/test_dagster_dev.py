"""A real `dagster dev`: a backfill launched as the UI launches it, its partitions, and Slack told."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from aqi_dagster.demo.summer import Summer
from aqi_dagster.demo.webhook import WebhookReceiver
from aqi_dagster.partitions import FIRST_WINDOW
from aqi_dagster.producer import produce
from aqi_dagster.windows import WINDOW_LENGTH, window_key
from tests.command_line import COMMAND
from tests.conftest import Topic

TOP = Path(__file__).parents[1]

KEYS = [window_key(FIRST_WINDOW + number * WINDOW_LENGTH) for number in range(4)]

LAUNCH = """
mutation ($keys: [String!]!) {
  launchPartitionBackfill(backfillParams: {
    partitionNames: $keys,
    assetSelection: [
      {path: ["readings"]}, {path: ["scored_readings"]}, {path: ["anomalies"]}, {path: ["regional_windows"]}
    ]
  }) { __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } }
}
"""

BACKFILL = """
query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }
"""

PARTITIONS = """
{ assetNodes { assetKey { path } partitionStats { numMaterialized numFailed } } }
"""

RUNS = """
{ runsOrError(filter: {pipelineName: "tell_slack"}) { ... on Runs { results { status tags { key value } } } } }
"""


@dataclass(frozen=True)
class Server:
    """A running `dagster dev` and the stand-in for Slack that its alerts go to."""

    url: str
    slack: WebhookReceiver

    def query(self, text: str, **variables: Any) -> Any:
        """The data that the GraphQL API answers."""
        answer = requests.post(f"{self.url}/graphql", json={"query": text, "variables": variables}, timeout=30).json()
        assert "errors" not in answer, answer
        return answer["data"]


def wait_for(what: str, ready: Callable[[], Any], seconds: float = 120) -> Any:
    """What ``ready`` gives once it gives something true; it may fail to connect until then."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if found := ready():
                return found
        except requests.ConnectionError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"no {what} within {seconds} s")


@pytest.fixture
def server(topic: Topic, tmp_path: Path, unused_port: int) -> Iterator[Server]:
    """`dagster dev` in an empty home, on a topic with the first days of a synthetic summer."""
    messages = Summer(FIRST_WINDOW).messages(FIRST_WINDOW, FIRST_WINDOW + timedelta(days=2))
    produce({"bootstrap.servers": topic.servers}, topic.name, messages)
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text((TOP / "dagster.yaml").read_text())
    with WebhookReceiver() as slack, (tmp_path / "log").open("wb") as log:
        environment = {
            "DAGSTER_HOME": str(home),
            "KAFKA_BOOTSTRAP_SERVERS": topic.servers,
            "KAFKA_TOPIC": topic.name,
            "AQI_DATA_DIR": str(tmp_path / "data"),
            "SLACK_WEBHOOK_URL": slack.url,
        }
        process = subprocess.Popen(
            [COMMAND, "dev", "--port", str(unused_port)],
            env=os.environ | environment,
            cwd=tmp_path,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            server = Server(f"http://127.0.0.1:{unused_port}", slack)
            wait_for("asset", lambda: server.query(PARTITIONS)["assetNodes"])
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            print((tmp_path / "log").read_text())
        # With the command its webserver, daemon and code servers must have ended too.
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://127.0.0.1:{unused_port}/server_info", timeout=5)


def test_a_backfill_from_the_ui_materializes_its_partitions_and_slack_is_told(server: Server) -> None:
    launched = server.query(LAUNCH, keys=KEYS)["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    ended = {"COMPLETED_SUCCESS", "COMPLETED", "COMPLETED_FAILED", "FAILED", "CANCELED"}

    def status() -> str | None:
        found = server.query(BACKFILL, id=launched["backfillId"])["partitionBackfillOrError"]["status"]
        return found if found in ended else None

    assert wait_for("end of the backfill", status, 180) == "COMPLETED_SUCCESS"
    stats = {
        node["assetKey"]["path"][0]: node["partitionStats"]
        for node in server.query(PARTITIONS)["assetNodes"]
        if node["partitionStats"]
    }
    expected = {"numMaterialized": len(KEYS), "numFailed": 0}
    assert stats == dict.fromkeys(["readings", "scored_readings", "anomalies", "regional_windows"], expected)

    assert wait_for("message to Slack", lambda: server.slack.messages, 120)
    (payload,) = server.slack.messages
    assert payload["text"].startswith("1 older window classified")
    (run,) = server.query(RUNS)["runsOrError"]["results"]
    assert {"key": "dagster/sensor_name", "value": "classified_windows"} in run["tags"]
