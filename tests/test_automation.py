"""What the schedule asks for, and when the sensor has Slack told."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.sensor_definition import SensorExecutionData

from aqi_dagster.assets.regional_windows import regional_windows
from aqi_dagster.automation import classified_windows, twice_a_day, waiting_alerts
from aqi_dagster.definitions import defs
from aqi_dagster.partitions import FIRST_WINDOW, range_tags
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.verdicts.outbox.attempts import record_attempt, record_failure, record_sent
from aqi_dagster.pipeline.verdicts.outbox.due_alerts import due_alerts
from aqi_dagster.resources.detectors import ThresholdsResource
from aqi_dagster.resources.regions import RegionsResource
from aqi_dagster.resources.rules import RulesResource
from aqi_dagster.resources.warehouse import WarehouseResource
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, parse_key, utc_now, window_key
from tests.support.outbox import classify as classify_recent
from tests.support.verdicts import SMOKE
from tests.support.waiting import LIMIT_SECONDS

KEYS = [window_key(FIRST_WINDOW + number * WINDOW_LENGTH) for number in range(8)]


# Ten minutes after the window KEYS[-1] ended.
TICK = datetime(2022, 7, 22, 0, 10, tzinfo=UTC)


@pytest.fixture
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance with storage, as schedules and sensors open it by reference."""
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as instance:
        yield instance


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store of the settings."""
    monkeypatch.setenv("AQI_DATA_DIR", str(tmp_path))
    return Store(tmp_path, LIMIT_SECONDS)


def tick(instance: dg.DagsterInstance, at: datetime = TICK) -> list[dg.RunRequest]:
    location = defs()
    with dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=at,
        repository_def=location.get_repository_def(),
        resources={"warehouse": (location.resources or {})["warehouse"]},
    ) as context:
        return twice_a_day.evaluate_tick(context).run_requests or []


def requested(request: dg.RunRequest) -> tuple[str, str]:
    return request.tags["dagster/asset_partition_range_start"], request.tags["dagster/asset_partition_range_end"]


def finish(store: Store, keys: Sequence[str], **further: str) -> None:
    """Have the store hold finished windows with these ``keys``; ``further`` SQL values of single ones by key."""
    with store.exclusive() as connection:
        connection.executemany(
            "INSERT INTO windows (window_start, readings, scored, revision, selected, classified, "
            "health_readings, health_revision, classified_health) VALUES (?, 5, 5, 1, 1, 1, 5, 1, 1)",
            [[parse_key(key)] for key in keys],
        )
        for key, assignment in further.items():
            connection.execute(f"UPDATE windows SET {assignment} WHERE window_start = ?", [parse_key(key)])
    store.publish()


def test_without_a_store_a_tick_asks_for_every_window(instance: dg.DagsterInstance, store: Store) -> None:
    assert not store.published.exists()
    assert [requested(request) for request in tick(instance)] == [(KEYS[0], KEYS[-1])]


def test_the_schedule_asks_for_the_window_that_just_ended_and_the_one_before(
    instance: dg.DagsterInstance, store: Store
) -> None:
    finish(store, KEYS[:-1])
    (request,) = tick(instance)
    assert requested(request) == (KEYS[-2], KEYS[-1])
    assert request.run_key == TICK.isoformat()


def test_the_schedule_heals_ticks_that_were_missed(instance: dg.DagsterInstance, store: Store) -> None:
    finish(store, KEYS[:3])
    assert [requested(request) for request in tick(instance)] == [(KEYS[3], KEYS[-1])]


@pytest.mark.parametrize(
    ("lacks", "first"),
    [
        ("scored = NULL, revision = NULL, selected = NULL, classified = NULL", 2),
        ("scored = 0", 2),
        ("classified = NULL", 2),
        ("revision = 2", 2),
        ("readings = 0, scored = NULL, revision = NULL, selected = NULL, classified = NULL", 6),
        ("readings = 9", 6),
    ],
    ids=[
        "never scored",
        "scored when it was empty",
        "never classified",
        "scored since",
        "never scored, but empty",
        "late readings",
    ],
)
def test_the_store_says_what_a_tick_asks_for_whatever_dagster_has_recorded(
    instance: dg.DagsterInstance, store: Store, lacks: str, first: int
) -> None:
    for key in KEYS:
        instance.report_runless_asset_event(dg.AssetMaterialization("regional_windows", partition=key))
    finish(store, KEYS, **{KEYS[2]: lacks})
    assert [requested(request) for request in tick(instance)] == [(KEYS[first], KEYS[-1])]


def test_a_reading_of_an_old_date_does_not_hold_up_the_newest_window(
    instance: dg.DagsterInstance, store: Store
) -> None:
    """It is run by itself, before the newest windows and not together with the years between."""
    end = FIRST_WINDOW + timedelta(days=400)
    keys = [window_key(start) for start in WindowRange(FIRST_WINDOW, end)]
    finish(store, keys, **{keys[3]: "scored = NULL", keys[150]: "scored = NULL", keys[400]: "scored = NULL"})
    requests = tick(instance, (end + WINDOW_LENGTH + timedelta(minutes=10)).replace(tzinfo=UTC))
    assert [requested(request) for request in requests] == [
        (keys[3], keys[150]),
        (keys[400], keys[400]),
        (keys[-2], keys[-1]),
    ]
    priorities = [int(request.tags["dagster/priority"]) for request in requests]
    assert priorities == sorted(priorities, reverse=True)
    assert len({request.run_key for request in requests}) == 3
    assert {request.tags["aqi_dagster/series"] for request in requests} == {"micro_batch"}


def test_a_long_absence_is_healed_by_runs_of_bounded_length(instance: dg.DagsterInstance, store: Store) -> None:
    finish(store, KEYS[:1])
    end = FIRST_WINDOW + timedelta(days=250)
    requests = tick(instance, (end + timedelta(minutes=10)).replace(tzinfo=UTC))
    ranges = [WindowRange.of_keys(*requested(request)) for request in requests]
    assert [len(windows) for windows in ranges] == [200, 200, 99]
    assert [start for windows in ranges for start in windows] == [
        *WindowRange(FIRST_WINDOW + WINDOW_LENGTH, end - WINDOW_LENGTH)
    ]


def test_the_schedule_never_asks_for_a_window_that_has_not_ended(instance: dg.DagsterInstance, store: Store) -> None:
    just_before = datetime(2022, 7, 21, 23, 59, tzinfo=UTC)
    assert not store.published.exists()
    assert [requested(request) for request in tick(instance, just_before)] == [(KEYS[0], KEYS[-2])]


def test_the_schedule_waits_for_the_first_window_to_end(instance: dg.DagsterInstance) -> None:
    early = FIRST_WINDOW.replace(tzinfo=UTC)
    location = defs()
    with dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=early,
        resources={"warehouse": (location.resources or {})["warehouse"]},
    ) as context:
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
            "rules": RulesResource(),
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


def wait(instance: dg.DagsterInstance) -> SensorExecutionData:
    resources = defs().resources or {}
    with dg.build_sensor_context(
        instance=instance, resources={name: resources[name] for name in ("slack", "warehouse")}
    ) as context:
        return waiting_alerts.evaluate_tick(context)


def test_alerts_that_wait_are_tried_again_once_their_pause_is_over(instance: dg.DagsterInstance, store: Store) -> None:
    assert waiting_alerts.default_status == dg.DefaultSensorStatus.RUNNING
    assert "no published copy" in (wait(instance).skip_message or "")
    classify_recent(store, ended=SMOKE)
    store.publish()
    assert "is tried again at" in (wait(instance).skip_message or "")
    with store.exclusive() as writer:
        (alert,) = due_alerts(writer)
        record_attempt(writer, [alert.alert_id], utc_now() - timedelta(minutes=5))
        record_failure(writer, [alert.alert_id], "pending", "HTTP 503", utc_now())
    store.publish()
    (request,) = wait(instance).run_requests or []
    # One request for each attempt, however often the sensor looks.
    assert (wait(instance).run_requests or [])[0].run_key == request.run_key
    with store.exclusive() as writer:
        record_sent(writer, {alert.alert_id: "smoke"}, False, utc_now())
    store.publish()
    assert wait(instance).skip_message == "No alert of a recent window waits."
