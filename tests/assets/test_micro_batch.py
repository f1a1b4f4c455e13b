"""The job inside Dagster, in this process, on a few days of the synthetic summer."""

import logging
import re
import shutil
from datetime import timedelta
from pathlib import Path

import dagster as dg

from aqi_dagster.assets.anomalies import anomalies
from aqi_dagster.assets.readings import readings
from aqi_dagster.assets.regional_windows import regional_windows
from aqi_dagster.assets.scored_readings import scored_readings
from aqi_dagster.demo.summer import Summer
from aqi_dagster.partitions import FIRST_WINDOW
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.due import due_ranges
from aqi_dagster.pipeline.store.outdated import unscored_readings
from aqi_dagster.windows import WindowRange, window_key
from tests.support.micro_batch import KEYS, TABLES, published, run, run_partition
from tests.support.summer_file import DAYS
from tests.support.topics import Topic


def test_a_range_in_one_run_equals_the_same_windows_run_by_run(
    summer_topic: Topic, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    run(summer_topic, tmp_path / "range", KEYS[0], KEYS[-1], instance)
    for key in KEYS:
        run(summer_topic, tmp_path / "single", key, key, instance)
    together = published(tmp_path / "range")
    assert together == published(tmp_path / "single")
    expected = Summer(FIRST_WINDOW).expected_verdicts(FIRST_WINDOW + timedelta(days=DAYS))
    verdicts = {row[1]: row[9] for row in together["regional_windows"]}
    assert verdicts == expected
    assert set(expected.values()) == {"smoke", "malfunction"}


def test_running_a_range_again_from_the_middle_changes_nothing(
    summer_topic: Topic, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    run(summer_topic, tmp_path, KEYS[0], KEYS[-1], instance)
    before = published(tmp_path, [*TABLES, "slack_alerts"])
    run(summer_topic, tmp_path, KEYS[5], KEYS[-1], instance)
    assert published(tmp_path, [*TABLES, "slack_alerts"]) == before


def test_partitions_are_materialized_with_their_row_counts_and_checked(
    summer_topic: Topic, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    result = run(summer_topic, tmp_path, KEYS[0], KEYS[-1], instance)
    for asset in (readings, scored_readings, anomalies, regional_windows):
        assert instance.get_materialized_partitions(asset.key) == set(KEYS)
    counts = {
        materialization.partition: materialization.metadata["dagster/partition_row_count"].value
        for materialization in result.asset_materializations_for_node("scored_readings")
    }
    scored = published(tmp_path, ["windows"])["windows"]
    assert counts == {window_key(row[0]): row[2] for row in scored}
    evaluations = {evaluation.check_name: evaluation.passed for evaluation in result.get_asset_check_evaluations()}
    assert set(evaluations.values()) == {True}


def test_skipping_a_window_fails_with_the_range_to_run_and_keeps_what_was_pulled(
    summer_topic: Topic, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    run(summer_topic, tmp_path, KEYS[0], KEYS[0], instance)
    failed = run(summer_topic, tmp_path, KEYS[3], KEYS[3], instance, must_succeed=False)
    assert not failed.success
    error = failed.failure_data_for_node("scored_readings")
    assert error is not None
    assert f"Materialize the range from {KEYS[1]} to {KEYS[3]} in one run" in error.error.to_string()
    assert len(published(tmp_path, ["readings"])["readings"]) == DAYS * 144 * 25
    run(summer_topic, tmp_path, KEYS[1], KEYS[3], instance)
    assert [row[2] is not None for row in published(tmp_path)["windows"]] == [True] * 4 + [False] * (2 * DAYS - 4)


def test_a_broker_that_is_down_fails_the_run_and_leaves_the_copy_as_it_was(
    summer_topic: Topic, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    run(summer_topic, tmp_path, KEYS[0], KEYS[-1], instance)
    before = published(tmp_path)
    gone = Topic(summer_topic.name, "127.0.0.1:1")
    failed = run(gone, tmp_path, KEYS[0], KEYS[-1], instance, must_succeed=False, kafka_timeout=2.0)
    error = failed.failure_data_for_node("readings")
    assert error is not None
    assert "127.0.0.1:1" in error.error.to_string()
    assert summer_topic.name in error.error.to_string()
    told = [entry.user_message for entry in instance.all_logs(failed.run_id) if entry.level == logging.ERROR]
    assert any(line.startswith("KafkaUnavailableError: ") for line in told)
    assert published(tmp_path) == before


def named_range(failed: dg.ExecuteInProcessResult) -> tuple[str, str]:
    """The range that the error of scoring asks for."""
    error = failed.failure_data_for_node("scored_readings")
    assert error is not None
    found = re.search(r"Materialize the range from (\S+) to (\S+) in one run", error.error.to_string())
    assert found is not None
    return found[1], found[2]


def test_the_newest_window_alone_names_the_range_that_gives_what_one_pass_gives(
    summer_topic: Topic, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """In a new folder, also where Dagster's records say that all windows were materialized."""
    run(summer_topic, tmp_path / "store", KEYS[0], KEYS[-1], instance)
    expected = published(tmp_path / "store")
    assert len(expected["anomalies"]) > 0
    shutil.rmtree(tmp_path / "store")
    for data_dir in (tmp_path / "store", tmp_path / "new"):
        failed = run(summer_topic, data_dir, KEYS[-1], KEYS[-1], instance, must_succeed=False)
        assert not failed.success
        assert named_range(failed) == (KEYS[0], KEYS[-1])
        left = published(data_dir)
        assert (left["scored_readings"], left["regional_windows"]) == ([], [])
        with Store(data_dir).reader() as connection:
            unscored = unscored_readings(connection, WindowRange.of_keys(KEYS[0], KEYS[-1]))
            assert unscored is not None
            assert unscored.windows.keys == (KEYS[0], KEYS[-1])
    run(summer_topic, tmp_path / "store", *named_range(failed), instance)
    assert published(tmp_path / "store") == expected


def test_a_backfill_in_any_order_scores_nothing_on_empty_detectors(
    summer_topic: Topic, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """Window by window by its partition key, as `dagster asset materialize --partition` does; the newest one first."""
    run(summer_topic, tmp_path / "one pass", KEYS[0], KEYS[-1], instance)
    expected = published(tmp_path / "one pass")
    data_dir = tmp_path / "any order"
    order = [KEYS[-1], KEYS[1], KEYS[0], KEYS[3], KEYS[1]]
    succeeded = [key for key in order if run_partition(summer_topic, data_dir, key, instance).success]
    assert succeeded == [KEYS[0], KEYS[1]]
    assert [row[2] is not None for row in published(data_dir)["windows"]] == [True] * 2 + [False] * (len(KEYS) - 2)
    with Store(data_dir).reader() as connection:
        (due,) = due_ranges(connection, WindowRange.of_keys(KEYS[0], KEYS[-1]))
    run(summer_topic, data_dir, *due.keys, instance)
    assert published(data_dir) == expected
