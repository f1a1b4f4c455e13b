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
    environment = {"DAGSTER_HOME": str(home), "AQI_DATA_DIR": str(folder / "data"), **settings}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [COMMAND, "dev", "--port", str(port)],
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
