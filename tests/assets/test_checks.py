"""Every asset check once green and once red, through the real job on a real broker and store."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from dagster._core.definitions.freshness import FreshnessState
from dagster._core.definitions.freshness_evaluator import CronFreshnessPolicyEvaluator
from dagster._core.loader import LoadingContextForTest
from dagster._core.test_utils import freeze_time

from aqi_dagster.assets.checks import MOST_NAMED
from aqi_dagster.definitions import defs
from aqi_dagster.errors import OutdatedAnomaliesError
from aqi_dagster.pipeline.store import connections
from aqi_dagster.pipeline.store.publishing import Publication
from aqi_dagster.pipeline.store.publishing import publish as really_publish
from aqi_dagster.windows import WINDOW_LENGTH, window_key, window_start
from tests.support.jobs import MicroBatch
from tests.support.messages import message
from tests.support.topics import Topic
from tests.support.window_readings import KEYS, SENSORS, SPOILT, STARTS, readings

CHECKS = {
    "every_message_accounted_for",
    "few_messages_rejected",
    "sensors_report",
    "places_spelled_once",
    "values_plausible",
    "health_up_to_date",
    "scores_up_to_date",
    "verdicts_up_to_date",
    "copy_equals_store",
}


@pytest.fixture
def job(topic: Topic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance) -> MicroBatch:
    """The job after three windows in which three sensors reported, and all was well."""
    job = MicroBatch(topic, tmp_path, monkeypatch, instance)
    topic.send([one for start in STARTS[:3] for one in readings(start)])
    found = job.checks(KEYS[0], KEYS[2])
    assert {name: check.passed for name, check in found.items()} == dict.fromkeys(CHECKS, True)
    return job


def failed(checks: dict[str, dg.AssetCheckEvaluation]) -> dict[str, str]:
    """The texts of the checks that did not pass, by name."""
    return {name: check.description or "" for name, check in checks.items() if not check.passed}


def numbers(check: dg.AssetCheckEvaluation) -> dict[str, object]:
    return {name: value.value for name, value in check.metadata.items()}


def test_an_ordinary_next_window_passes_every_check(job: MicroBatch) -> None:
    job.topic.send(readings(STARTS[3]))
    assert failed(job.checks(KEYS[2], KEYS[3])) == {}


def test_a_lost_row_fails_the_account(job: MicroBatch) -> None:
    with job.store.exclusive() as connection:
        connection.execute("DELETE FROM readings WHERE kafka_partition = 2 AND kafka_offset = 5")
    checks = job.checks(KEYS[2], KEYS[2])
    assert "partition 2" in failed(checks)["every_message_accounted_for"]
    assert checks["every_message_accounted_for"].severity == dg.AssetCheckSeverity.ERROR


def test_too_many_rejected_messages_are_told_with_their_reasons(job: MicroBatch) -> None:
    job.topic.send([*readings(STARTS[3]), *[SPOILT] * 3, (None, b"{}"), SPOILT])
    checks = job.checks(KEYS[2], KEYS[3])
    assert list(failed(checks)) == ["few_messages_rejected"]
    check = checks["few_messages_rejected"]
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert "5 of 77 messages were rejected: value is not JSON (4), key is missing (1)" in (check.description or "")
    assert numbers(check) == {
        "rejected_share": 5 / 77,
        "max_rejected_share": 0.05,
        "value is not JSON": 4,
        "key is missing": 1,
    }
    # Of the next pull, which brings nothing, there is nothing to say.
    assert failed(job.checks(KEYS[3], KEYS[3])) == {}


def test_the_share_that_may_be_rejected_is_a_setting(job: MicroBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AQI_MAX_REJECTED_SHARE", "0.07")
    job.topic.send([*readings(STARTS[3]), *[SPOILT] * 5])
    assert failed(job.checks(KEYS[2], KEYS[3])) == {}


def test_a_sensor_that_falls_silent_is_named(job: MicroBatch) -> None:
    job.topic.send(readings(STARTS[3], SENSORS[:2]))
    checks = job.checks(KEYS[2], KEYS[3])
    assert list(failed(checks)) == ["sensors_report"]
    check = checks["sensors_report"]
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert f"1 of 3 sensors fell silent before window {KEYS[3]}, UTC: 45.3, -122 (last reading" in (
        check.description or ""
    )
    assert numbers(check) == {
        "reporting_sensors": 2,
        "silent_sensors": 1,
        "silent": {"45.3, -122": str(STARTS[3] - timedelta(minutes=30))},
    }
    # A backfill of windows in which it still reported, or was not there yet, changes nothing.
    assert failed(job.checks(KEYS[0], KEYS[1]))["sensors_report"] == check.description


def test_a_sensor_that_comes_in_other_digits_is_named(job: MicroBatch) -> None:
    again = ["45.10,-122.0"]
    job.topic.send([*readings(STARTS[3]), *readings(STARTS[3], again)])
    checks = job.checks(KEYS[2], KEYS[3])
    assert list(failed(checks)) == ["places_spelled_once"]
    check = checks["places_spelled_once"]
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert "One sensor under several texts: 45.1, -122 = 45.10, -122.0." in (check.description or "")
    assert numbers(check)["several_texts"] == ["45.1, -122 = 45.10, -122.0"]
    assert numbers(checks["sensors_report"])["reporting_sensors"] == 3


def test_a_region_named_like_markup_is_shown_as_it_is(job: MicroBatch) -> None:
    with job.store.exclusive() as connection:
        found = "INSERT INTO regional_windows (region, window_start, window_end, sensors, count_sensors, "
        found += "count_anomalies, verdict) VALUES (?, ?, ?, ['45.1, -122'], 1, 1, 'malfunction')"
        connection.execute(found, ["![x](https://a.example/x)", STARTS[0], STARTS[1]])
    told = failed(job.checks(KEYS[2], KEYS[2]))["verdicts_up_to_date"]
    assert told.startswith("Sensor 45.1, -122 counts to `![x](https://a.example/x)`, to which it does not belong: ")


def test_a_topic_that_dries_up_is_told_of_however_long_ago(job: MicroBatch) -> None:
    later = window_key(STARTS[3] + 10 * WINDOW_LENGTH)
    told = failed(job.checks(KEYS[3], later))
    assert told == {
        "sensors_report": f"No sensor has reported in window {later} or since: see whether the producer still sends."
    }


def test_a_stuck_sensor_and_an_impossible_one_are_named(job: MicroBatch) -> None:
    job.topic.send(
        [
            *readings(STARTS[3], SENSORS[:1]),
            *readings(STARTS[3], SENSORS[1:2], pm25=7.25),
            *(message(SENSORS[2], STARTS[3] + timedelta(minutes=30 * n), 3000 + n) for n in range(24)),
        ]
    )
    checks = job.checks(KEYS[2], KEYS[3])
    assert list(failed(checks)) == ["values_plausible"]
    check = checks["values_plausible"]
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert numbers(check) == {
        "implausible_sensors": 2,
        "implausible": [
            "45.2, -122: Read 7.25 ug/m3 and nothing else: it is stuck.",
            "45.3, -122: Read up to 3,022 ug/m3, far more than a sensor can measure.",
        ],
        "sensors_with_absurd_readings": 0,
    }
    # Whatever other window is run, the newest one is judged.
    assert failed(job.checks(KEYS[0], KEYS[1]))["values_plausible"] == check.description


def test_what_was_wrong_in_old_windows_raises_no_alarm(job: MicroBatch) -> None:
    job.topic.send([*readings(STARTS[0], ["45.9, -122"], pm25=3.0), *readings(STARTS[3])])
    assert failed(job.checks(KEYS[0], KEYS[3])) == {}
    assert failed(job.checks(KEYS[0], KEYS[0])) == {}


def test_late_readings_are_told_with_the_range_to_run(job: MicroBatch) -> None:
    job.topic.send([*readings(STARTS[3]), message(SENSORS[0], STARTS[0] + timedelta(minutes=7), 9.0)])
    checks = job.checks(KEYS[3], KEYS[3])
    assert f"1 late readings: materialize {KEYS[0]} to" in failed(checks)["scores_up_to_date"]
    assert failed(job.checks(KEYS[0], KEYS[3])) == {}


def test_a_copy_that_is_not_the_store_is_an_error(job: MicroBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    def damage(private: Path, published: Path, spare: Path, compare_all: bool) -> Publication:
        publication = really_publish(private, published, spare, compare_all)
        published.chmod(0o600)
        with duckdb.connect(str(published)) as copy:
            copy.execute("DELETE FROM readings WHERE kafka_partition = 1 AND kafka_offset = 1")
            copy.execute("UPDATE sensors SET readings = readings + 1 WHERE sensor = '45.2, -122'")
        return publication

    with monkeypatch.context() as broken:
        broken.setattr(connections, "publish", damage)
        checks = job.checks(KEYS[2], KEYS[2])
    assert list(failed(checks)) == ["copy_equals_store"]
    check = checks["copy_equals_store"]
    assert check.severity == dg.AssetCheckSeverity.ERROR
    assert "readings has 216 rows in the store and 215 in the copy" in (check.description or "")
    assert "sensors has as many rows in both, but not the same ones" in (check.description or "")
    assert numbers(check) == {"differing_tables": 2}
    assert failed(job.checks(KEYS[2], KEYS[2])) == {}


def test_windows_grow_stale_an_hour_after_the_end_of_one_that_was_not_run(job: MicroBatch) -> None:
    asset = defs().resolve_asset_graph().get(dg.AssetKey("regional_windows"))
    event = job.instance.get_latest_materialization_event(asset.key)
    assert event is not None
    window = window_start(datetime.fromtimestamp(event.timestamp, UTC).replace(tzinfo=None))

    def state(since_end: timedelta) -> FreshnessState:
        with freeze_time((window + WINDOW_LENGTH + since_end).replace(tzinfo=UTC)):
            evaluator = CronFreshnessPolicyEvaluator()
            return asyncio.run(evaluator.evaluate_freshness(LoadingContextForTest(job.instance), asset))

    assert state(timedelta(minutes=59)) == FreshnessState.PASS
    assert state(timedelta(minutes=61)) == FreshnessState.FAIL


def test_verdicts_from_before_a_run_that_died_after_scoring_are_told_with_the_range(job: MicroBatch) -> None:
    job.topic.send([message("45.4, -122", STARTS[0] + timedelta(minutes=number), 5) for number in range(10)])
    job.run(KEYS[0], KEYS[2], ["readings", "scored_readings"])
    check = job.checks(KEYS[2], KEYS[3])["verdicts_up_to_date"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    told = f"2 windows were scored, but not classified since: materialize {KEYS[0]} to {KEYS[1]} in one run."
    assert check.description == told
    with pytest.raises(OutdatedAnomaliesError, match=f"the anomalies of {KEYS[0]} to {KEYS[1]} were not selected"):
        job.run(KEYS[0], KEYS[1], ["regional_windows"])
    assert not job.checks(KEYS[3], KEYS[3])["verdicts_up_to_date"].passed, "their anomalies are still the old ones"
    assert job.checks(KEYS[0], KEYS[1])["verdicts_up_to_date"].passed


def test_no_more_sensors_than_can_be_read_are_named(job: MicroBatch) -> None:
    many = [f"46.{number:02d}, -122" for number in range(MOST_NAMED + 10)]
    job.topic.send(readings(STARTS[2], many)[: len(many)] + readings(STARTS[3]))
    check = job.checks(KEYS[2], KEYS[3])["sensors_report"]
    assert (check.description or "").count("last reading") == MOST_NAMED
    assert "30 of 33 sensors fell silent" in (check.description or "")
    assert "; and 10 more." in (check.description or "")
    assert numbers(check)["silent_sensors"] == len(many)
