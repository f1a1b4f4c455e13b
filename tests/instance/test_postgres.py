"""Dagster's records in Postgres, by Dagster's own classes alone: batches and times of events as in SQLite."""

import re
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import create_engine, text

from aqi_dagster.definitions import defs
from aqi_dagster.partitions import range_tags
from tests.support.places import TOP
from tests.support.postgres_server import postgres_server

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-03-01")
KEYS = DAYS.get_partition_keys()

IN_POSTGRES = "storage:\n  postgres:\n    postgres_url:\n      env: DAGSTER_POSTGRES_URL\n"

MATERIALIZED = "FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION'"


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def measured() -> None: ...


def test_a_range_is_one_transaction_whose_events_have_times_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_EVENT_BATCH_SIZE", raising=False)
    assert IN_POSTGRES in (TOP / "docs" / "operation.md").read_text()
    shipped = (TOP / "dagster.yaml").read_text()
    settings, replaced = re.subn(r"(?m)^event_log_storage:\n(?:  .*\n)+", IN_POSTGRES, shipped)
    assert replaced == 1
    (tmp_path / "dagster.yaml").write_text(settings)
    with postgres_server() as url:
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", url)
        # As a code server does before its processes execute runs.
        defs()
        with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
            assert type(instance.event_log_storage).__module__.startswith("dagster_postgres")
            assert dg.materialize([measured], instance=instance, tags=range_tags(KEYS[0], KEYS[-1])).success
            records = instance.fetch_materializations(measured.key, limit=1000).records
        engine = create_engine(url)
        with engine.connect() as connection:
            # xmin is the transaction that inserted a row.
            (found,) = connection.execute(text(f"SELECT count(*), count(DISTINCT xmin::text) {MATERIALIZED}"))
        engine.dispose()
    assert tuple(found) == (len(KEYS), 1)
    assert len({int(record.timestamp * 1000) for record in records}) == len(KEYS)
