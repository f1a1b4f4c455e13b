"""Metadata of windows are the same whichever way they were attached."""

import sys
from typing import Any
from unittest.mock import patch

import dagster as dg
import pytest

from aqi_dagster.instance import window_metadata
from aqi_dagster.instance.window_metadata import add_window_metadata
from aqi_dagster.partitions import range_tags

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-31")
KEYS = DAYS.get_partition_keys()


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def measured(context: dg.AssetExecutionContext) -> None:
    context.add_asset_metadata({"by hand": 1}, partition_key=KEYS[3])
    add_window_metadata(context, {key: {"number": number} for number, key in enumerate(KEYS)})


def attached() -> tuple[dict[str | None, Any], list[str]]:
    """The metadata of each partition, and what the run warned of."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([measured], instance=instance, tags=range_tags(KEYS[0], KEYS[-1]))
        warnings = [log.user_message for log in instance.all_logs(result.run_id) if log.level == 30]
    materializations = result.asset_materializations_for_node("measured")
    return {
        event.partition: {name: value.value for name, value in event.metadata.items()} for event in materializations
    }, warnings


EXPECTED = {key: {"number": number} for number, key in enumerate(KEYS)} | {KEYS[3]: {"by hand": 1, "number": 3}}


def test_few_windows_need_nothing_of_dagsters_insides() -> None:
    with patch.object(window_metadata, "_add_at_once", side_effect=AssertionError):
        assert attached() == (EXPECTED, [])


def test_many_windows_are_attached_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_metadata, "ONE_BY_ONE", len(KEYS) - 1)
    with patch.object(window_metadata, "_add_at_once", side_effect=window_metadata._add_at_once) as at_once:
        assert attached() == (EXPECTED, [])
    assert at_once.call_count == 1


def test_a_dagster_without_that_place_is_told_of_and_used_by_its_own_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_metadata, "ONE_BY_ONE", len(KEYS) - 1)
    # Not to be imported from any more; Dagster itself goes on with what it has imported.
    monkeypatch.setitem(sys.modules, "dagster._core.execution.context.metadata_logging", None)
    metadata, warnings = attached()
    assert metadata == EXPECTED
    (warning,) = warnings
    assert "added one by one" in warning
