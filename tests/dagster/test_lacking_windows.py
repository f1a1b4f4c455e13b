"""A real daemon: a reading of an old date fails the scheduled run, and the newest verdict comes all the same."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pytest

from aqi_dagster.automation import lacking_windows, twice_a_day
from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.partitions import FIRST_WINDOW, range_tags
from aqi_dagster.windows import WINDOW_LENGTH, parse_key, window_key
from tests.support.dagster_dev import DagsterDev, dagster_dev
from tests.support.messages import message
from tests.support.tables import rows
from tests.support.topics import Topic
from tests.support.waiting import wait_for
from tests.support.window_readings import readings

NEWEST = [window_key(FIRST_WINDOW + number * WINDOW_LENGTH) for number in (500, 501)]

TICKS = """
query ($name: String!) {
  sensorOrError(sensorSelector: {
    sensorName: $name, repositoryName: "__repository__", repositoryLocationName: "aqi_dagster.definitions"
  }) { ... on Sensor { sensorState { ticks(limit: 1) { status } } } }
}
"""


def run(server: DagsterDev, **tags: str) -> str:
    """Run the newest windows; the status with which that ends."""
    run_id = server.launch(
        "micro_batch", range_tags(*NEWEST) | {key.replace("_", "/", 1): tag for key, tag in tags.items()}
    )
    ends = {"SUCCESS", "FAILURE", "CANCELED"}
    return str(wait_for("end", lambda: {server.status(run_id)} & ends).pop())


def answers(server: DagsterDev) -> list[dict[str, Any]] | None:
    """The runs that the sensor asked for, in order of their start, once two have succeeded."""
    found = [run for run in server.runs() if run["tags"].get("dagster/sensor_name") == lacking_windows.name]
    found.sort(key=lambda run: run["startTime"] or 0)
    return found if [run["status"] for run in found] == ["SUCCESS"] * 2 else None


@pytest.mark.long
def test_an_old_reading_does_not_stop_the_newest_verdict(
    broker: EmbeddedBroker, tmp_path: Path, unused_port: int
) -> None:
    topic = Topic(f"lacking-{uuid4()}", broker.bootstrap_servers)
    topic.create()
    topic.send([one for key in NEWEST for one in readings(parse_key(key))])
    settings = {"KAFKA_BOOTSTRAP_SERVERS": topic.servers, "KAFKA_TOPIC": topic.name}
    with dagster_dev(tmp_path, settings, unused_port) as server:
        assert run(server) == "SUCCESS"
        # It looks at what fails from its first tick on.
        wait_for(
            "tick", lambda: server.query(TICKS, name=lacking_windows.name)["sensorOrError"]["sensorState"]["ticks"]
        )
        topic.send([message("45.1, -122", FIRST_WINDOW + timedelta(minutes=5), 5.0)])
        assert run(server, dagster_schedule_name=twice_a_day.name) == "FAILURE"
        old, newest = wait_for("answer", lambda: answers(server))
    assert old["tags"]["dagster/asset_partition_range_end"] == window_key(FIRST_WINDOW)
    assert newest["tags"]["dagster/asset_partition_range_end"] == NEWEST[1]
    assert old["endTime"] <= newest["startTime"]
    with duckdb.connect(str(tmp_path / "data" / "aqi.duckdb"), read_only=True) as copy:
        lacking = "SELECT count(*) FROM windows WHERE classified IS NULL OR classified <> revision"
        assert rows(copy, lacking) == [(0,)]
