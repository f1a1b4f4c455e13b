"""What Dagster sees of the code location."""

import json

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from aqi_dagster.definitions import defs
from aqi_dagster.partitions import WINDOWS

PARTITIONED = ["readings", "sensor_health", "scored_readings", "anomalies", "regional_windows"]


@pytest.fixture(scope="module")
def graph() -> AssetGraph:
    return defs().resolve_asset_graph()


def test_the_lineage_leads_from_the_topic_to_slack(graph: AssetGraph) -> None:
    parents = {
        key.to_user_string(): sorted(parent.to_user_string() for parent in graph.get(key).parent_keys)
        for key in graph.get_all_asset_keys()
    }
    assert parents == {
        "sensor_data": [],
        "readings": ["sensor_data"],
        "sensor_health": ["readings"],
        "scored_readings": ["readings", "scored_readings"],
        "anomalies": ["scored_readings"],
        "regional_windows": ["anomalies", "sensor_health"],
        "slack_alerts": ["regional_windows"],
        "conditions": ["readings"],
    }
    assert [key.to_user_string() for key in graph.external_asset_keys] == ["sensor_data"]


def test_all_windowed_assets_share_one_partitioning_and_run_any_range_at_once(graph: AssetGraph) -> None:
    for name in PARTITIONED:
        asset = graph.get(dg.AssetKey(name))
        assert asset.partitions_def == WINDOWS
        assert asset.backfill_policy == dg.BackfillPolicy.single_run()
    assert WINDOWS.get_first_partition_key() == "2022-07-18T00:00"
    assert not graph.get(dg.AssetKey("slack_alerts")).is_partitioned


def test_every_asset_says_what_it_holds(graph: AssetGraph) -> None:
    for key in graph.get_all_asset_keys():
        assert len(graph.get(key).description or "") > 60, key
        assert graph.get(key).kinds, key


def test_jobs_and_automation_are_loadable() -> None:
    loaded = defs()
    repository = loaded.get_repository_def()
    assert {job.name for job in repository.get_all_jobs()} - {"__ASSET_JOB"} == {
        "micro_batch",
        "tell_slack",
        "look_now",
    }
    assert [schedule.name for schedule in repository.schedule_defs] == ["every_few_minutes", "twice_a_day"]
    assert [sensor.name for sensor in repository.sensor_defs] == [
        "classified_windows",
        "heartbeat",
        "lacking_windows",
        "own_troubles",
        "waiting_alerts",
        "watched_feeds",
    ]
    steps = set(loaded.resolve_job_def("micro_batch").graph.node_dict)
    assert steps >= set(PARTITIONED)
    assert "slack_alerts" not in steps
    dg.Definitions.validate_loadable(loaded)


def test_secrets_stay_out_of_the_definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", "https://hooks.example/services/T0/B0/secret-token")
    monkeypatch.setenv("KAFKA_CONFIG_SASL_PASSWORD", "secret-password")
    repository = defs().get_repository_def()
    shown = {
        name: resource.config_schema.default_value if resource.config_schema.default_provided else None
        for name, resource in repository.get_top_level_resources().items()
    }
    text = json.dumps(shown, default=str) + repr(defs().resources)
    assert '{"env": "SLACK_WEBHOOK_URL"}' in text
    assert '{"env": "KAFKA_CONFIG_SASL_PASSWORD"}' in text
    assert "secret" not in text
