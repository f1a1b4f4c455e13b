"""Events of a batch have times of their own, in every process that executes runs."""

import logging
import os
import subprocess
import sys

import dagster as dg
import pytest

from aqi_dagster.instance.batches import BATCH_SIZE, EVENTS_AT_ONCE, LOGGER_OF_RUNS, OwnMilliseconds

LOADS_DEFINITIONS = """
import logging, os
from aqi_dagster.definitions import defs
defs()
print(os.environ["DAGSTER_EVENT_BATCH_SIZE"], type(logging.getLogRecordFactory()).__name__)
"""


@pytest.mark.parametrize(("given", "size"), [(None, str(EVENTS_AT_ONCE)), ("0", "0")])
def test_whatever_loads_the_definitions_hands_over_batches(given: str | None, size: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != BATCH_SIZE}
    told = subprocess.run(
        [sys.executable, "-c", LOADS_DEFINITIONS],
        env=environment | ({} if given is None else {BATCH_SIZE: given}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == [size, OwnMilliseconds.__name__]


@pytest.fixture
def clock() -> list[float]:
    """The times that records are made at, in order."""
    return []


@pytest.fixture
def milliseconds(clock: list[float]) -> OwnMilliseconds:
    def made(*arguments: object) -> logging.LogRecord:
        record = logging.LogRecord(*arguments)  # type: ignore[arg-type]
        record.created = clock.pop(0)
        return record

    return OwnMilliseconds(made)


def times(milliseconds: OwnMilliseconds, clock: list[float], name: str) -> list[int]:
    """Milliseconds of as many records as ``clock`` has times, as Dagster's pages cut them off."""
    return [
        int(milliseconds(name, logging.DEBUG, "file", 1, "event", (), None).created * 1000) for _ in range(len(clock))
    ]


def test_records_of_runs_are_a_millisecond_apart_in_their_order(
    milliseconds: OwnMilliseconds, clock: list[float]
) -> None:
    clock += [1_800_000_000.0001] * 3 + [1_800_000_000.0042, 1_800_000_000.9]
    begin = 1_800_000_000_000
    assert times(milliseconds, clock, LOGGER_OF_RUNS) == [begin, begin + 1, begin + 2, begin + 4, begin + 900]


def test_records_of_others_and_of_a_clock_set_back_keep_their_times(
    milliseconds: OwnMilliseconds, clock: list[float]
) -> None:
    clock += [1_800_000_000.0, 1_799_000_000.0]
    assert times(milliseconds, clock, LOGGER_OF_RUNS) == [1_800_000_000_000, 1_799_000_000_000]
    clock += [1_799_000_000.0] * 2
    assert times(milliseconds, clock, "aqi_dagster.pipeline") == [1_799_000_000_000] * 2


def test_materializations_of_a_range_have_a_millisecond_each(clock: list[float]) -> None:
    days = dg.DailyPartitionsDefinition("2020-01-01", end_date="2021-01-01")

    @dg.asset(partitions_def=days, backfill_policy=dg.BackfillPolicy.single_run())
    def measured() -> None: ...

    factory = logging.getLogRecordFactory()
    logging.setLogRecordFactory(OwnMilliseconds(logging.LogRecord))
    try:
        with dg.DagsterInstance.ephemeral() as instance:
            tags = {
                "dagster/asset_partition_range_start": "2020-01-01",
                "dagster/asset_partition_range_end": "2020-12-31",
            }
            assert dg.materialize([measured], instance=instance, tags=tags).success
            records = instance.fetch_materializations(measured.key, limit=1000).records
    finally:
        logging.setLogRecordFactory(factory)
    assert len(records) == len({int(record.timestamp * 1000) for record in records}) == 366
