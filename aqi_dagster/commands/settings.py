"""The command ``aqi-dagster settings``: the file to begin an installation with."""

from importlib.resources import files

import click


@click.command("settings")
def print_settings() -> None:
    """Print every setting with its default and what it means: aqi-dagster settings > .env."""
    click.echo(files("aqi_dagster").joinpath("settings.env").read_text(encoding="utf-8"), nl=False)
