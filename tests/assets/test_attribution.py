"""Where readings come from PurpleAir's API, pages and alerts name it, with a link; elsewhere they do not."""

from pathlib import Path

import dagster as dg
import pytest

from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.polling.memory import opened_memory
from aqi_dagster.resources.slack import SlackResource
from aqi_dagster.resources.warehouse import WarehouseResource
from tests.support.jobs import MicroBatch
from tests.support.outbox import classify
from tests.support.slack_server import Slack
from tests.support.topics import Topic
from tests.support.verdicts import MALFUNCTION, SMOKE
from tests.support.window_readings import KEYS, STARTS, readings


@pytest.mark.parametrize(("kind", "credited"), [("purpleair", True), ("history", True), ("local", False)])
def test_alerts_name_purpleair(store: Store, tmp_path: Path, slack: Slack, kind: str, credited: bool) -> None:
    with opened_memory(tmp_path, kind):
        pass
    classify(store, before=SMOKE, ended=MALFUNCTION)
    SlackResource(webhook_url=slack.url).dispatch(store, WarehouseResource(data_dir=str(tmp_path)).source)
    shown = [slack.shown(number).splitlines()[-1] for number in range(2)]
    assert (shown == ["Data from <https://www.purpleair.com|PurpleAir>"] * 2) == credited


def test_pages_name_purpleair(
    topic: Topic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    job = MicroBatch(topic, tmp_path, monkeypatch, instance)
    topic.send(readings(STARTS[0]))
    named = []
    for fed in (False, True):
        if fed:
            with opened_memory(tmp_path, "purpleair"):
                pass
        result = job.run(KEYS[0], KEYS[0])
        of_assets = [result.asset_materializations_for_node(name) for name in ("readings", "regional_windows")]
        named.append([found[0].metadata.get("source") for found in of_assets])
    assert named[0] == [None, None]
    assert named[1] == [dg.MetadataValue.md("Data from [PurpleAir](https://www.purpleair.com)")] * 2
