"""Options that several commands share."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from aqi_dagster.errors import StoreError
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.setting_values import starts_window
from aqi_dagster.settings import load_settings

FILES = click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))

SENSOR_LISTS = click.option(
    "--sensors",
    "sensor_lists",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV with index, latitude, longitude, name: where the sensors are whose files have only their index.",
)


class Window(click.ParamType[datetime]):
    """The start of a window in ISO form, naive UTC."""

    name = "ISO"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The start that the text ``value`` names."""
        try:
            return starts_window(datetime.fromisoformat(value))
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


WINDOW = Window()


def say(line: str) -> None:
    """Print a line that tells how a command goes on; what it comes to is printed elsewhere."""
    click.echo(line, err=True)


def own_store() -> Store:
    """The store of the settings; :class:`StoreError` if there is none yet."""
    settings = load_settings()
    store = Store(settings.data_dir, settings.lock_timeout_seconds, settings.duckdb_memory_mb)
    if not store.private.exists():
        raise StoreError(f"There is no store at {store.private}: point AQI_DATA_DIR at the folder that holds it.")
    return store
