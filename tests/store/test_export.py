"""What is exported is what the copy holds, whatever the files are called, and nothing of anybody's is overwritten."""

from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from aqi_dagster.errors import ExportError
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.export import export_database, export_tables
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange
from tests.support.command_line import Site
from tests.support.messages import FIRST_WINDOW, message, take_in
from tests.support.tables import rows
from tests.support.window_readings import SPOILT

SECOND = FIRST_WINDOW + WINDOW_LENGTH

ALL = (
    "SELECT table_name FROM duckdb_tables() UNION SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY ALL"
)


@pytest.fixture
def filled(store: Store) -> Store:
    """A published copy with twenty readings in each of two windows, and a rejected message."""
    moments = [FIRST_WINDOW + timedelta(minutes=36 * number) for number in range(40)]
    with store.exclusive() as writer:
        take_in(writer, [*(message("45.1, -122", at, number) for number, at in enumerate(moments)), SPOILT])
    assert store.publish()
    return store


def names(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [name for (name,) in rows(connection, ALL)]


def in_some_order(connection: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    """The rows of a table or view, which has none of its own, in an order that depends on them alone."""
    return sorted(map(str, connection.sql(f'FROM "{name}"').fetchall()))


def test_every_table_and_view_is_the_same_in_parquet(filled: Store, tmp_path: Path) -> None:
    folder = tmp_path / "someone's new folder"
    with filled.reader() as copy, duckdb.connect() as other:
        written = export_tables(copy, names(copy), folder)
        assert len(written) > 20
        for file, number in written.items():
            exported = other.read_parquet(str(file))
            assert exported.columns == copy.sql(f'FROM "{file.stem}"').columns
            assert sorted(map(str, exported.fetchall())) == in_some_order(copy, file.stem)
            assert number == len(exported)
        assert written[folder / "readings.parquet"] == 40
        assert written[folder / "rejected_messages.parquet"] == 1


def test_a_range_of_windows_leaves_out_the_others(filled: Store, tmp_path: Path) -> None:
    with filled.reader() as copy:
        export_tables(copy, ["readings", "windows"], tmp_path, WindowRange(SECOND, SECOND))
    with duckdb.connect() as other:
        for table, number in {"readings": 20, "windows": 1}.items():
            found = other.read_parquet(str(tmp_path / f"{table}.parquet"))
            assert rows(other, f"SELECT DISTINCT window_start FROM '{tmp_path}/{table}.parquet'") == [(SECOND,)]
            assert len(found) == number


def test_one_file_holds_all_of_the_copy_and_older_programs_may_open_it(filled: Store, tmp_path: Path) -> None:
    file = tmp_path / "all of it.duckdb"
    export_database(filled, file)
    with filled.reader() as copy:
        there = {name: in_some_order(copy, name) for name in names(copy)}
    with duckdb.connect(str(file), read_only=True) as exported:
        assert names(exported) == [*there]
        assert {name: in_some_order(exported, name) for name in there} == there
        ((version,),) = rows(exported, "SELECT tags['storage_version'] FROM duckdb_databases() WHERE NOT internal")
    assert "1.5" in version


def test_what_cannot_be_exported_is_told_and_leaves_nothing(filled: Store, tmp_path: Path) -> None:
    (tmp_path / "sensors.parquet").write_text("mine")
    (tmp_path / "file").touch()
    with filled.reader() as copy:
        with pytest.raises(ExportError, match=r"no table 'sensor'.*sensors"):
            export_tables(copy, ["readings", "sensor"], tmp_path)
        with pytest.raises(ExportError, match="sensors has no column window_start"):
            export_tables(copy, ["readings", "sensors"], tmp_path, WindowRange(SECOND, SECOND))
        with pytest.raises(ExportError, match="is there already"):
            export_tables(copy, ["sensors"], tmp_path)
        with pytest.raises(ExportError, match="cannot be written"):
            export_tables(copy, ["readings"], tmp_path / "file" / "folder")
        # The connection is as good as before.
        assert export_tables(copy, ["readings"], tmp_path) == {tmp_path / "readings.parquet": 40}
    with pytest.raises(ExportError, match="cannot be written"):
        export_database(filled, tmp_path / "file" / "all.duckdb")
    assert (tmp_path / "sensors.parquet").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir() if "draft" in path.name] == []


def test_the_command_writes_what_is_asked_for(filled: Store, tmp_path: Path) -> None:
    site = Site(tmp_path, {"AQI_DATA_DIR": str(filled.published.parent)})
    told = site.run("export", "readings", "--from", "2022-07-18", "--to", "2022-07-18", "--folder", "out").stdout
    assert told == "out/readings.parquet: 20 rows\n"
    assert site.run("export", "--database", "all.duckdb").stdout == "all.duckdb: all tables and views\n"
    for wrong in ([], ["readings", "--database", "x"], ["readings", "--from", "2022-07-18"]):
        assert site.run("export", *wrong, check=False).returncode == 2
