"""The command ``aqi-dagster look``: the air of each region now."""

import click
from tabulate import tabulate

from aqi_dagster.commands.options import say
from aqi_dagster.dagster_home import use_dagster_home
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.settings import load_settings

_CONDITIONS = """
SELECT region, state, strftime(since, '%Y-%m-%d %H:%M'), level, trend, len(healthy), len(broken)
FROM conditions
ORDER BY region
"""

_HEADERS = ["region", "air", "since (UTC)", "level, ug/m3", "trend in 3 h", "healthy sensors", "broken"]


@click.command()
def look() -> None:
    """Judge the air now, before the open window ends.

    It pulls what is new, as a running Dagster does by itself every AQI_LOOK_MINUTES, and prints the air of each region.
    """
    from aqi_dagster.runs import run_look

    use_dagster_home()
    run_look(say)
    with Store(load_settings().data_dir).reader() as connection:
        rows = connection.execute(_CONDITIONS).fetchall()
    click.echo(tabulate(rows, _HEADERS, floatfmt=".0f") if rows else "No sensor has reported in the last twelve hours.")
