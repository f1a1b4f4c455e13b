"""A real `dagster dev` as `aqi-dagster dev` starts it, and what its GraphQL API answers."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.support.command_line import COMMAND
from tests.support.places import TOP
from tests.support.waiting import LIMIT_SECONDS, wait_for

LAUNCH_BACKFILL = """
mutation ($keys: [String!]!) {
  launchPartitionBackfill(backfillParams: {
    partitionNames: $keys,
    assetSelection: [
      {path: ["readings"]}, {path: ["sensor_health"]}, {path: ["scored_readings"]}, {path: ["anomalies"]},
      {path: ["regional_windows"]}
    ]
  }) { __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } }
}
"""

BACKFILL = """
query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }
"""

LAUNCH = """
mutation ($job: String!, $tags: [ExecutionTag!]!) {
  launchRun(executionParams: {
    selector: {
      jobName: $job, repositoryName: "__repository__", repositoryLocationName: "aqi_dagster.definitions"
    },
    executionMetadata: {tags: $tags}, runConfigData: {}
  }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
"""

RUNS = """
{ runsOrError { ... on Runs { results { runId status rootRunId startTime endTime tags { key value } } } } }
"""

PARTITIONS = """
{ assetNodes { assetKey { path } partitionStats { numMaterialized numFailed } } }
"""


@dataclass(frozen=True)
class DagsterDev:
    """A running `dagster dev`: its address, and the process of the command that started it."""

    url: str
    process: subprocess.Popen[bytes]

    def query(self, text: str, **variables: Any) -> Any:
        """The data that the GraphQL API answers."""
        answer = requests.post(
            f"{self.url}/graphql", json={"query": text, "variables": variables}, timeout=LIMIT_SECONDS
        ).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def launch(self, job: str, tags: Mapping[str, str]) -> str:
        """Launch a run of ``job``; returns its id."""
        listed = [{"key": key, "value": value} for key, value in tags.items()]
        launched = self.query(LAUNCH, job=job, tags=listed)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def runs(self) -> list[dict[str, Any]]:
        """All runs, the newest first, with their tags by name."""
        found = self.query(RUNS)["runsOrError"]["results"]
        return [run | {"tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in found]

    def status(self, run: str) -> str:
        """The status of the run with that id."""
        return next(str(found["status"]) for found in self.runs() if found["runId"] == run)

    def launch_backfill(self, keys: list[str]) -> str:
        """Launch a backfill of all partitioned assets, as the UI does; returns its id."""
        launched = self.query(LAUNCH_BACKFILL, keys=keys)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return str(launched["backfillId"])

    def end_of_backfill(self, backfill: str) -> str | None:
        """The status of a backfill that has ended."""
        ended = {"COMPLETED_SUCCESS", "COMPLETED", "COMPLETED_FAILED", "FAILED", "CANCELED"}
        status = self.query(BACKFILL, id=backfill)["partitionBackfillOrError"]["status"]
        return status if status in ended else None

    def partitions(self) -> dict[str, dict[str, int]]:
        """Materialized and failed partitions by partitioned asset."""
        nodes = self.query(PARTITIONS)["assetNodes"]
        return {node["assetKey"]["path"][0]: node["partitionStats"] for node in nodes if node["partitionStats"]}


@contextmanager
def dagster_dev(folder: Path, settings: Mapping[str, str], port: int) -> Iterator[DagsterDev]:
    """`dagster dev` with the shipped instance settings, at home in ``folder``, which it may have been before."""
    home = folder / "dagster"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text((TOP / "dagster.yaml").read_text())
    # No looks: when the clock has them come, they would be among the runs that a test counts.
    quiet = {"AQI_LOOK_MINUTES": "0"}
    environment = {"DAGSTER_HOME": str(home), "AQI_DATA_DIR": str(folder / "data"), **quiet, **settings}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [COMMAND, "dev", "--port", str(port), "--page-port", "0"],
            env=os.environ | environment,
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    server = DagsterDev(f"http://127.0.0.1:{port}", process)
    try:
        wait_for("asset", server.partitions)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(LIMIT_SECONDS)
        print((folder / "log").read_text())
