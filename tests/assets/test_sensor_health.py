"""The asset of sensors' health: what a run puts into the table and on its pages, and what it refuses."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from aqi_dagster.assets.sensor_health import sensor_health
from aqi_dagster.partitions import FIRST_WINDOW, range_tags
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.resources.regions import RegionsResource
from aqi_dagster.resources.rules import RulesResource
from aqi_dagster.resources.warehouse import WarehouseResource
from aqi_dagster.windows import window_key
from tests.support.health import REGION_NAME, report, window_at
from tests.support.tables import rows
from tests.support.waiting import LIMIT_SECONDS

BROKEN, GOOD = "45.1, -122", ["45.2, -122", "45.3, -122"]
FLAT = {"PM1.0_CF1_ug/m3": "900", "PM10.0_CF1_ug/m3": "900"}


@pytest.fixture
def readings(store: Store) -> Store:
    """Three windows of clean air; in the last of them a sensor's laser has failed."""
    with store.exclusive() as connection:
        for number in range(3):
            report(connection, number, {sensor: 5 + place for place, sensor in enumerate(GOOD)})
            report(connection, number, {BROKEN: 900 if number == 2 else 5.5}, **(FLAT if number == 2 else {}))
        connection.execute("UPDATE windows SET scored = readings, revision = 1, selected = 1")
    return store


def run(data_dir: Path, first: int, last: int, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [sensor_health],
        resources={
            "warehouse": WarehouseResource(data_dir=str(data_dir), lock_timeout_seconds=LIMIT_SECONDS),
            "regions": RegionsResource(name=REGION_NAME),
            "rules": RulesResource(),
        },
        instance=instance,
        tags=range_tags(window_key(window_at(first)), window_key(window_at(last))),
        raise_on_error=False,
    )


def pages(result: dg.ExecuteInProcessResult) -> dict[str, Mapping[str, Any]]:
    """The metadata of each window."""
    events = result.asset_materializations_for_node("sensor_health")
    return {str(event.partition): {name: value.value for name, value in event.metadata.items()} for event in events}


def test_a_run_judges_its_windows_and_says_on_their_pages_how_many_are_broken(
    readings: Store, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    assert window_at(0) == FIRST_WINDOW
    result = run(tmp_path, 0, 2, instance)
    assert result.success
    numbers = ("dagster/partition_row_count", "taking_part", "with_fault", "without_vote")
    found = pages(result)
    assert [[found[window_key(window_at(number))][name] for name in numbers] for number in range(3)] == [
        [3, 3, 0, 0],
        [3, 3, 0, 0],
        [3, 3, 1, 0],
    ]
    assert found[window_key(window_at(2))]["plot"].startswith("![Health of sensors over time")
    with readings.inspect() as connection:
        assert rows(connection, "SELECT sensor, window_start, fault FROM sensor_health WHERE fault IS NOT NULL") == [
            (BROKEN, window_at(2), "flat")
        ]
    checks = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert checks["health_up_to_date"].passed
    assert not checks["values_plausible"].passed
    assert checks["values_plausible"].severity is dg.AssetCheckSeverity.WARN
    assert f"{BROKEN}: Counts as many particles" in (checks["values_plausible"].description or "")


def test_a_window_whose_earlier_windows_were_never_judged_fails_and_names_the_range(
    readings: Store, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    result = run(tmp_path, 2, 2, instance)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "2022-07-18T00:00 to 2022-07-19T00:00" in str(failure.step_failure_data.error)
    with readings.inspect() as connection:
        assert rows(connection, "FROM sensor_health") == []


def test_the_check_names_what_became_outdated(readings: Store, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    run(tmp_path, 0, 2, instance)
    with readings.exclusive() as connection:
        report(connection, 1, {"45.4, -122": 5})
        connection.execute("UPDATE sensors SET location_type = 1 WHERE sensor = ?", [GOOD[0]])
    result = run(tmp_path, 2, 2, instance)
    checks = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert not checks["health_up_to_date"].passed
    assert (checks["health_up_to_date"].description or "").endswith(
        "1 sensors whose region has become another since: materialize 2022-07-18T00:00 to 2022-07-19T00:00 in one run."
    )
