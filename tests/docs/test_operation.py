"""What docs/operation.md tells operators: its backup and restore really are one, and it knows every error."""

import os
import re
import subprocess
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from aqi_dagster import errors
from aqi_dagster.errors import AqiError
from aqi_dagster.pipeline.store.connections import Store
from tests.support.micro_batch import KEYS, TABLES, published, run
from tests.support.places import TOP
from tests.support.tables import rows
from tests.support.topics import Topic
from tests.support.waiting import LIMIT_SECONDS

OPERATION = (TOP / "docs" / "operation.md").read_text()

BACKUP, RESTORE = re.findall(r"```sh\n(.*?)```", OPERATION, re.DOTALL)


def shell(commands: str, data_dir: Path, backup: Path) -> None:
    environment = os.environ | {"AQI_DATA_DIR": str(data_dir), "BACKUP": str(backup)}
    subprocess.run(["sh", "-euc", commands], env=environment, check=True, timeout=LIMIT_SECONDS)


@pytest.mark.parametrize("lost", [False, True], ids=["into the same folder", "into an empty folder"])
def test_a_restored_store_comes_to_the_same_tables(
    summer_topic: Topic,
    tmp_path: Path,
    instance: dg.DagsterInstance,
    lost: bool,
) -> None:
    data_dir, backup = tmp_path / "data", tmp_path / "backup"
    run(summer_topic, data_dir, KEYS[0], KEYS[5], instance)
    shell(BACKUP, data_dir, backup)
    run(summer_topic, data_dir, KEYS[6], KEYS[-1], instance)
    before = published(data_dir)
    target = tmp_path / "new" if lost else data_dir
    shell(RESTORE, target, backup)
    assert not lost or not (target / "aqi.duckdb").exists()
    run(summer_topic, target, KEYS[5], KEYS[-1], instance)
    assert published(target) == before
    assert set(before) == set(TABLES)


def test_a_backup_waits_for_the_writer(store: Store, tmp_path: Path) -> None:
    with store.exclusive() as connection:
        copying = subprocess.Popen(
            ["sh", "-euc", BACKUP],
            env=os.environ | {"AQI_DATA_DIR": str(tmp_path), "BACKUP": str(tmp_path / "backup")},
        )
        with pytest.raises(subprocess.TimeoutExpired):
            copying.wait(0.5)
        connection.execute(
            "INSERT INTO sensors (sensor, first_reading, last_reading, readings) VALUES ('45, -122', now(), now(), 1)"
        )
    assert copying.wait(LIMIT_SECONDS) == 0
    with duckdb.connect(str(tmp_path / "backup" / "store.duckdb"), read_only=True) as backup:
        assert rows(backup, "SELECT sensor FROM sensors") == [("45, -122",)]


def test_every_error_is_explained() -> None:
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, AqiError)}
    # The bases, which are never raised themselves.
    kinds -= {"AqiError", "RangeRequiredError"}
    assert [name for name in sorted(kinds) if f"`{name}`" not in OPERATION] == []
