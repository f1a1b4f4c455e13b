"""The command ``aqi-dagster export``: files for other programs."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from aqi_dagster.commands.options import WINDOW
from aqi_dagster.pipeline.numbers import counted
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.export import export_database, export_tables
from aqi_dagster.settings import load_settings
from aqi_dagster.windows import WindowRange, window_key


@click.command()
@click.argument("tables", nargs=-1)
@click.option("--from", "first", type=WINDOW, help="Start of the first window, such as 2022-07-18T00:00.")
@click.option("--to", "last", type=WINDOW, help="Start of the last window, included.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Where files go.")
@click.option("--database", type=click.Path(path_type=Path), help="All tables and views, as this one DuckDB file.")
def export(
    tables: Sequence[str], first: datetime | None, last: datetime | None, folder: Path, database: Path | None
) -> None:
    """Write TABLES to Parquet files, or everything to one DuckDB file.

    They are read from the published copy, while runs go on. TABLES may be views, too; docs/sql.md names them. No file
    that is there is overwritten.
    """
    if (database is None) == (not tables):
        raise click.UsageError("Name either tables, or --database and a file.")
    if (first is None) != (last is None) or (database is not None and first is not None):
        raise click.UsageError("--from and --to belong together, and to tables.")
    windows = None
    if first is not None and last is not None:
        if first > last:
            raise click.UsageError(f"--from {window_key(first)} is later than --to {window_key(last)}.")
        windows = WindowRange(first, last)
    store = Store(load_settings().data_dir)
    if database is not None:
        export_database(store, database)
        click.echo(f"{database}: all tables and views")
        return
    with store.reader() as connection:
        for file, rows in export_tables(connection, tables, folder, windows).items():
            click.echo(f"{file}: {counted(rows, 'row')}")
