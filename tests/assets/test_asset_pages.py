"""What Dagster's pages show of the assets without any run: columns, lineage, sources, owners, freshness."""

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from aqi_dagster.assets.pages import LINEAGE, Stages
from aqi_dagster.definitions import defs
from aqi_dagster.errors import ConfigurationError
from aqi_dagster.message_fields import KNOWN_FIELDS
from aqi_dagster.pipeline.store.columns import stored_columns

TABLES = ["readings", "sensor_health", "scored_readings", "anomalies", "regional_windows", "slack_alerts"]


@pytest.fixture(scope="module")
def graph() -> AssetGraph:
    return defs().resolve_asset_graph()


@pytest.mark.parametrize("table", TABLES)
def test_every_column_of_a_table_has_type_and_comment(graph: AssetGraph, table: str) -> None:
    metadata = graph.get(dg.AssetKey(table)).metadata
    assert metadata["dagster/table_name"] == table
    schema = metadata["dagster/column_schema"]
    assert [column.name for column in schema.columns] == [column.name for column in stored_columns()[table]]
    for column in schema.columns:
        assert column.type, column.name
        assert len(column.description or "") > 5, column.name


def test_the_topics_fields_are_shown_with_their_meaning_too(graph: AssetGraph) -> None:
    columns = {c.name: c for c in graph.get(dg.AssetKey("sensor_data")).metadata["dagster/column_schema"].columns}
    of_sensors = {"sensor_index", "sensor_name", "location_type"}
    assert set(columns) == {"key", *KNOWN_FIELDS} - {"Humidity"} - of_sensors
    assert (
        columns["PM2.5_CF1_ug/m3"].description == "PM2.5 mass, factory calibration CF=1, ug/m3; what the detectors see"
    )
    required = {name for name, column in columns.items() if not column.constraints.nullable}
    assert required == {"key", "created_at", "PM2.5_CF1_ug/m3"}


def test_comments_are_those_of_the_database(graph: AssetGraph) -> None:
    columns = graph.get(dg.AssetKey("readings")).metadata["dagster/column_schema"].columns
    pm25 = next(column for column in columns if column.name == "pm25_cf1")
    assert pm25.description == "PM2.5 mass, factory calibration CF=1, ug/m3; what the detectors see"
    assert (pm25.type, pm25.constraints.nullable) == ("DOUBLE", False)
    assert all(
        column.comment for columns in stored_columns().values() for column in columns if column.name != "version"
    )


@pytest.mark.parametrize("table", TABLES)
def test_lineage_leads_from_columns_to_columns_that_there_are(graph: AssetGraph, table: str) -> None:
    names = {name: {column.name for column in columns} for name, columns in stored_columns().items()}
    names["sensor_data"] = {"key", *KNOWN_FIELDS}
    assert set(LINEAGE[table]) <= names[table]
    lineage = graph.get(dg.AssetKey(table)).metadata["dagster/column_lineage"]
    for column, sources in lineage.deps_by_column.items():
        assert sources, column
        for source in sources:
            assert source.column_name in names[source.asset_key.to_user_string()], (column, source)


def test_every_asset_links_to_its_source_and_is_in_one_group(graph: AssetGraph) -> None:
    for table in TABLES:
        asset = graph.get(dg.AssetKey(table))
        (link,) = asset.metadata["dagster/code_references"].code_references
        assert f"def {table}(" in Path(link.file_path).read_text().split("\n", link.line_number - 1)[-1]
        assert asset.group_name == "air_quality"


def test_owners_are_a_setting(monkeypatch: pytest.MonkeyPatch, graph: AssetGraph) -> None:
    assert {graph.get(key).owners for key in graph.get_all_asset_keys()} == {("team:air-quality",)}
    monkeypatch.setenv("AQI_OWNERS", "smoke@example.org, team:ops")
    owned = defs().resolve_asset_graph()
    assert {owned.get(key).owners for key in owned.get_all_asset_keys()} == {("smoke@example.org", "team:ops")}


@pytest.mark.parametrize("owners", ["ops", "team:", "a@b", "team:ops,", "smoke@example.org; team:ops"])
def test_what_is_no_owner_is_refused(monkeypatch: pytest.MonkeyPatch, owners: str) -> None:
    monkeypatch.setenv("AQI_OWNERS", owners)
    with pytest.raises(ConfigurationError, match=r"AQI_OWNERS.*neither a mail address"):
        defs()


def test_the_windows_are_expected_an_hour_after_their_end(graph: AssetGraph) -> None:
    policy = graph.get(dg.AssetKey("regional_windows")).freshness_policy
    assert policy == dg.FreshnessPolicy.cron("0 1,13 * * *", timedelta(hours=1), "UTC")


def test_a_stage_is_measured_in_milliseconds() -> None:
    stages = Stages()
    with stages.stage("nothing"):
        pass
    assert stages.metadata == {"nothing_ms": 0}
