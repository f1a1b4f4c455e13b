"""What the schedule asks for, and when the sensor has Slack told."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.sensor_definition import SensorExecutionData

from aqi_dagster.assets.regional_windows import regional_windows
from aqi_dagster.automation import classified_windows, due_range, twice_a_day
from aqi_dagster.definitions import defs
from aqi_dagster.partitions import FIRST_WINDOW, range_tags
from aqi_dagster.resources.detectors import ThresholdsResource
from aqi_dagster.resources.regions import RegionsResource
from aqi_dagster.resources.warehouse import WarehouseResource
from aqi_dagster.windows import WINDOW_LENGTH, window_key

KEYS = [window_key(FIRST_WINDOW + number * WINDOW_LENGTH) for number in range(8)]

# Ten minutes after the window KEYS[-1] ended.
TICK = datetime(2022, 7, 22, 0, 10, tzinfo=UTC)


@pytest.fixture
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance with storage, as schedules and sensors open it by reference."""
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as instance:
        yield instance


def tick(instance: dg.DagsterInstance, at: datetime = TICK) -> dg.RunRequest:
    with dg.build_schedule_context(
        instance=instance, scheduled_execution_time=at, repository_def=defs().get_repository_def()
    ) as context:
        (request,) = twice_a_day.evaluate_tick(context).run_requests or []
        return request


def requested(request: dg.RunRequest) -> tuple[str, str]:
    return request.tags["dagster/asset_partition_range_start"], request.tags["dagster/asset_partition_range_end"]


def materialize(instance: dg.DagsterInstance, *keys: str) -> None:
    for key in keys:
        instance.report_runless_asset_event(dg.AssetMaterialization("regional_windows", partition=key))


@pytest.mark.parametrize(
    ("ended", "materialized", "due"),
    [
        ([], set(), None),
        (["a"], set(), ("a", "a")),
        (["a"], {"a"}, ("a", "a")),
        (["a", "b", "c", "d"], {"a", "b", "c"}, ("c", "d")),
        (["a", "b", "c", "d"], {"a", "b", "c", "d"}, ("c", "d")),
        (["a", "b", "c", "d"], {"a", "c"}, ("b", "d")),
        (["a", "b", "c", "d"], set(), ("a", "d")),
    ],
)
def test_a_tick_asks_for_the_newest_two_windows_and_everything_missed(
    ended: list[str], materialized: set[str], due: tuple[str, str] | None
) -> None:
    assert due_range(ended, materialized) == due


def test_the_schedule_asks_for_the_window_that_just_ended_and_the_one_before(instance: dg.DagsterInstance) -> None:
    materialize(instance, *KEYS[:-1])
    request = tick(instance)
    assert requested(request) == (KEYS[-2], KEYS[-1])
    assert request.run_key == TICK.isoformat()


def test_the_schedule_heals_ticks_that_were_missed(instance: dg.DagsterInstance) -> None:
    materialize(instance, *KEYS[:3])
    assert requested(tick(instance)) == (KEYS[3], KEYS[-1])


def test_the_schedule_never_asks_for_a_window_that_has_not_ended(instance: dg.DagsterInstance) -> None:
    just_before = datetime(2022, 7, 21, 23, 59, tzinfo=UTC)
    assert requested(tick(instance, just_before)) == (KEYS[0], KEYS[-2])


def test_the_schedule_waits_for_the_first_window_to_end(instance: dg.DagsterInstance) -> None:
    early = FIRST_WINDOW.replace(tzinfo=UTC)
    with dg.build_schedule_context(instance=instance, scheduled_execution_time=early) as context:
        result = twice_a_day.evaluate_tick(context)
    assert not result.run_requests
    assert "2022-07-18 00:00" in (result.skip_message or "")


def test_the_schedule_runs_ten_minutes_after_each_window_and_is_on() -> None:
    assert twice_a_day.cron_schedule == "10 0,12 * * *"
    assert twice_a_day.execution_timezone == "UTC"
    assert twice_a_day.default_status == dg.DefaultScheduleStatus.RUNNING


def classify(instance: dg.DagsterInstance, data_dir: Path, first: str, last: str) -> str:
    """Run the asset that the sensor watches; returns the run's id."""
    result = dg.materialize(
        [regional_windows],
        resources={
            "warehouse": WarehouseResource(data_dir=str(data_dir)),
            "regions": RegionsResource(name="here"),
            "thresholds": ThresholdsResource(),
        },
        instance=instance,
        tags=range_tags(first, last),
    )
    return result.run_id


def observe(instance: dg.DagsterInstance, cursor: str | None = None) -> SensorExecutionData:
    with dg.build_sensor_context(
        instance=instance, cursor=cursor, repository_def=defs().get_repository_def()
    ) as context:
        return classified_windows.evaluate_tick(context)


def test_the_sensor_requests_one_alert_run_for_each_run_that_classified_windows(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    assert classified_windows.default_status == dg.DefaultSensorStatus.RUNNING
    assert not observe(instance).run_requests
    run_id = classify(instance, tmp_path, KEYS[0], KEYS[4])
    seen = observe(instance)
    assert [request.run_key for request in seen.run_requests or []] == [run_id]
    assert not observe(instance, seen.cursor).run_requests
    run_id = classify(instance, tmp_path, KEYS[5], KEYS[5])
    assert [request.run_key for request in observe(instance, seen.cursor).run_requests or []] == [run_id]
