"""What is the matter with the pipeline itself, by what a real Dagster has recorded: told once until it is well."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster_shared.error import SerializableErrorInfo

from aqi_dagster.definitions import defs
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.resources.channels import ChannelsResource
from aqi_dagster.windows import utc_now
from tests.support.mail_server import mail_server
from tests.support.slack_server import PATH, Answer, Slack, slack_server
from tests.support.troubles import Watch
from tests.support.waiting import LIMIT_SECONDS

STAR, COLON = "\N{ASTERISK OPERATOR}", "\N{MODIFIER LETTER COLON}"


class State:
    """What the assets below do."""

    fails = False
    passes = True


@dg.asset
def fragile() -> None:
    """Fail if that is wanted."""
    if State.fails:
        raise dg.Failure("*no* <!channel> can be read :fire:")


@dg.asset_check(asset=fragile)
def plausible() -> dg.AssetCheckResult:
    """Warn if that is wanted."""
    return dg.AssetCheckResult(
        passed=State.passes, severity=dg.AssetCheckSeverity.WARN, description="<@U1> *reads* too much"
    )


fragile_job = dg.define_asset_job("fragility", selection=[fragile], executor_def=dg.in_process_executor)


LOCATION = dg.Definitions(
    assets=[fragile],
    asset_checks=[plausible],
    jobs=[fragile_job],
    schedules=[
        dg.ScheduleDefinition(name="often", job=fragile_job, cron_schedule="*/15 * * * *", execution_timezone="UTC")
    ],
)


@pytest.fixture
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance with storage on disk, and run retries as dagster.yaml has them."""
    folder = str(tmp_path_factory.mktemp("dagster"))
    with dg.DagsterInstance.local_temp(folder, overrides={"run_retries": {"enabled": True}}) as instance:
        yield instance


@pytest.fixture
def watch(instance: dg.DagsterInstance, slack: Slack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watch:
    """The sensor, which need not wait until a run is settled, and everything well."""
    monkeypatch.setenv("SLACK_WEBHOOK_URL", slack.url)
    monkeypatch.setattr("aqi_dagster.automation.SETTLED_SECONDS", 0.0)
    State.fails, State.passes = False, True
    return Watch(instance, LOCATION, tmp_path / "data", ChannelsResource())


def run(instance: dg.DagsterInstance, fails: bool = False, passes: bool = True, **tags: str) -> None:
    """A run of the job, which does as it is told."""
    State.fails, State.passes = fails, passes
    job = LOCATION.resolve_job_def("fragility")
    result = job.execute_in_process(instance=instance, raise_on_error=False, tags=tags)
    assert result.success != fails


def lines(slack: Slack, number: int = -1) -> list[str]:
    """What a message shows below its title."""
    return slack.shown(number).splitlines()[1:]


def test_a_run_that_failed_is_told_once_and_that_the_next_one_succeeded(watch: Watch, slack: Slack) -> None:
    watch.tick()
    run(watch.instance, fails=True)
    watch.tick()
    assert slack.texts == ["The pipeline: 1 trouble. A run of fragility failed"]
    what, trouble, _ = lines(slack)
    assert what == "*What is the matter*"
    assert trouble.startswith("• *A run of fragility failed*, since ")
    # What an error says is text, and neither bold nor a call of everybody.
    assert trouble.endswith(f": {STAR}no{STAR} &lt;!channel&gt; can be read {COLON}fire{COLON}")
    run(watch.instance, fails=True)
    watch.tick()
    assert len(slack.texts) == 1
    run(watch.instance)
    watch.tick()
    watch.tick()
    assert slack.texts[1:] == ["The pipeline: 1 well again. A run of fragility failed"]
    run(watch.instance, fails=True)
    watch.tick()
    assert len(slack.texts) == 3


def test_a_run_that_is_tried_again_is_not_told_before_its_last_try(watch: Watch, slack: Slack) -> None:
    watch.tick()
    run(watch.instance, fails=True, **{"dagster/max_retries": "1"})
    (failed,) = watch.instance.get_runs()
    assert failed.tags["dagster/will_retry"] == "true"
    watch.tick()
    assert slack.texts == []
    run(watch.instance, fails=True, **{"dagster/retry_number": "1"})
    watch.tick()
    assert len(slack.texts) == 1


def test_a_storm_is_one_message_with_a_count(watch: Watch, slack: Slack) -> None:
    watch.tick()
    for _ in range(4):
        run(watch.instance, fails=True)
    watch.tick()
    assert slack.texts == ["The pipeline: 1 trouble. 4 runs of fragility failed"]


def test_a_check_that_warns_is_told_once_until_it_passes(watch: Watch, slack: Slack) -> None:
    run(watch.instance)
    watch.tick()
    assert slack.texts == []
    for _ in range(2):
        run(watch.instance, passes=False)
        watch.tick()
    assert slack.texts == ["The pipeline: 1 trouble. The check plausible of fragile warns"]
    assert lines(slack)[1].endswith(f": &lt;@U1&gt; {STAR}reads{STAR} too much")
    run(watch.instance)
    watch.tick()
    assert slack.texts[1:] == ["The pipeline: 1 well again. The check plausible of fragile warns"]


def schedule_state(instance: dg.DagsterInstance, started: datetime) -> InstigatorState:
    """The schedule of the location, on since ``started``, as its daemon notes it."""
    location = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name=__name__))
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), "often")
    state = InstigatorState(
        origin,
        InstigatorType.SCHEDULE,
        InstigatorStatus.RUNNING,
        ScheduleInstigatorData("*/15 * * * *", started.timestamp()),
    )
    instance.add_instigator_state(state)
    return state


def tick_of(instance: dg.DagsterInstance, state: InstigatorState, at: datetime, status: TickStatus) -> None:
    """A tick that the daemon has noted."""
    error = SerializableErrorInfo("The *store* is away", [], "StoreError") if status == TickStatus.FAILURE else None
    instance.create_tick(
        TickData(
            instigator_origin_id=state.instigator_origin_id,
            instigator_name=state.name,
            instigator_type=InstigatorType.SCHEDULE,
            status=status,
            timestamp=at.timestamp(),
            selector_id=state.selector_id,
            run_ids=["run"] if status == TickStatus.SUCCESS else [],
            error=error,
        )
    )


def test_a_tick_that_is_missing_is_told_and_that_the_next_one_came(watch: Watch, slack: Slack) -> None:
    quarter = datetime.fromtimestamp(time.time() // 900 * 900, UTC)
    due = quarter if datetime.now(UTC) - quarter > timedelta(minutes=10) else quarter - timedelta(minutes=15)
    state = schedule_state(watch.instance, due - timedelta(hours=2))
    tick_of(watch.instance, state, due - timedelta(minutes=15), TickStatus.SUCCESS)
    watch.tick()
    assert slack.texts == ["The pipeline: 1 trouble. A tick of the schedule often is missing"]
    assert f"the last was at {due - timedelta(minutes=15):%Y-%m-%d %H:%M} UTC" in lines(slack)[1]
    watch.tick()
    tick_of(watch.instance, state, due, TickStatus.SUCCESS)
    watch.tick()
    assert slack.texts[1:] == ["The pipeline: 1 well again. A tick of the schedule often is missing"]
    tick_of(watch.instance, state, due + timedelta(minutes=15), TickStatus.FAILURE)
    watch.tick()
    assert slack.texts[2:] == ["The pipeline: 1 trouble. A tick of the schedule often failed"]
    assert lines(slack)[1].endswith(f": The {STAR}store{STAR} is away")


def test_a_schedule_that_is_off_or_was_just_switched_on_misses_nothing(watch: Watch, slack: Slack) -> None:
    state = schedule_state(watch.instance, datetime.now(UTC))
    watch.tick()
    watch.instance.update_instigator_state(state.with_status(InstigatorStatus.STOPPED))
    watch.tick()
    assert slack.texts == []


def pulled(store: Store, hours_ago: float) -> None:
    """Have the store say that the topic was read just now, and last held something so long ago."""
    with store.exclusive() as writer:
        writer.execute("DELETE FROM kafka_offsets")
        writer.execute("DELETE FROM pulled_offsets")
        writer.execute("INSERT INTO kafka_offsets VALUES ('t', NULL, 1, 0, 5, 5, ?)", [utc_now()])
        last = utc_now() - timedelta(hours=hours_ago)
        writer.execute("INSERT INTO pulled_offsets VALUES (1, 0, 0, 5, 5, ?)", [last])
    store.publish()


def test_a_topic_that_fell_silent_is_told_until_something_comes(watch: Watch, slack: Slack, tmp_path: Path) -> None:
    store = Store(tmp_path / "data", LIMIT_SECONDS)
    for hours_ago in (5.9, 6.1, 9.0, 0.0):
        pulled(store, hours_ago)
        watch.tick()
    assert slack.texts == [
        "The pipeline: 1 trouble. Nothing new has come from the topic for 6 hours",
        "The pipeline: 1 well again. Nothing new has come from the topic for 6 hours",
    ]


def test_it_is_told_with_the_store_locked_damaged_or_gone(watch: Watch, slack: Slack, tmp_path: Path) -> None:
    store = Store(tmp_path / "data", LIMIT_SECONDS)
    pulled(store, 8.0)
    watch.tick()
    assert len(slack.texts) == 1
    with store.exclusive():
        run(watch.instance, fails=True)
        watch.tick()
        assert len(slack.texts) == 2
    store.published.write_bytes(b"no database")
    run(watch.instance)
    watch.tick()
    store.published.unlink()
    run(watch.instance, fails=True)
    watch.tick()
    assert [text.split(". ")[1] for text in slack.texts[2:]] == ["A run of fragility failed"] * 2
    # What cannot be known is neither told again nor said to be well.
    pulled(store, 8.5)
    watch.tick()
    assert len(slack.texts) == 4


def test_what_slack_does_not_take_is_told_by_the_next_tick(watch: Watch, slack: Slack) -> None:
    watch.tick()
    run(watch.instance, fails=True)
    slack.answers = [Answer(503), Answer(404), Answer()]
    for words in ("HTTP 503", "HTTP 404"):
        told = watch.tick().skip_message or ""
        assert words in told
        assert PATH not in told
    run(watch.instance)
    # It failed and is well again meanwhile: both are told.
    watch.tick()
    assert slack.texts[-1] == "The pipeline: 1 trouble, 1 well again. A run of fragility failed, and 1 more"
    watch.tick()
    assert len(slack.texts) == 3


def test_the_channel_for_operators_comes_first_then_that_of_alerts_then_any_other(
    watch: Watch, slack: Slack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with slack_server() as ops, mail_server() as mail:
        monkeypatch.setenv("SLACK_OPS_WEBHOOK_URL", ops.url)
        run(watch.instance, fails=True)
        watch.tick()
        monkeypatch.delenv("SLACK_OPS_WEBHOOK_URL")
        run(watch.instance)
        watch.tick()
        monkeypatch.delenv("SLACK_WEBHOOK_URL")
        run(watch.instance, fails=True)
        assert "Neither" in (watch.tick().skip_message or "")
        watch.channels = ChannelsResource(smtp_url=mail.url, email_from="c@b.org", email_to=["a@b.org"])
        watch.tick()
        assert [len(told) for told in (ops.texts, slack.texts, mail.subjects)] == [1, 1, 1]
        assert mail.text(0).splitlines()[0] == "Trouble with the pipeline"
        assert "*no* <!channel> can be read :fire:" in mail.text(0)


def test_without_a_memory_the_past_is_left_alone(watch: Watch, slack: Slack) -> None:
    run(watch.instance, fails=True)
    for cursor in ("no JSON", '{"format": 0}', json.dumps({"format": 1, "seen": time.time() + 9e6, "told": []})):
        watch.cursor = cursor
        watch.tick()
    # The last of them came from a clock that was ahead.
    run(watch.instance, fails=True)
    watch.tick()
    assert len(slack.texts) == 3


def test_this_code_location_is_looked_at_in_little_time(watch: Watch, slack: Slack) -> None:
    loaded = defs()
    (sensor,) = [one for one in loaded.get_repository_def().sensor_defs if one.name == "own_troubles"]
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    watch.location = loaded
    began = time.monotonic()
    assert watch.tick().skip_message == "0 new, 0 well again, 0 still open."
    assert time.monotonic() - began < 30
