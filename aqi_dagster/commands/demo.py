"""The command ``aqi-dagster demo``: the whole pipeline at work."""

from collections.abc import Sequence
from pathlib import Path

import click

from aqi_dagster.commands.options import FILES, SENSOR_LISTS
from aqi_dagster.demo.showcase import run_demo


@click.command()
@FILES
@SENSOR_LISTS
def demo(files: Sequence[Path], sensor_lists: Sequence[Path]) -> None:
    """Show the whole pipeline at work.

    On a synthetic summer, or on the readings in FILES. Everything lives in the folder .demo, which is made anew.
    """
    run_demo(files, sensor_lists)
