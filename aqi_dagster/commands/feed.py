"""The command ``aqi-dagster feed``, which is a process of its own."""

import os
import sys
from collections.abc import Sequence

import click


@click.command("feed", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run_feed(arguments: Sequence[str]) -> None:
    """Ask PurpleAir's API, or sensors on the local network, for readings, and send them to the topic."""
    # In the place of this process: a feed runs for months, and needs none of what is imported here.
    os.execv(sys.executable, [sys.executable, "-m", "aqi_dagster.polling", *arguments])  # noqa: S606
