"""The command ``aqi-dagster home``: the folder that Dagster's processes need."""

import click

from aqi_dagster.dagster_home import SETTINGS, differences, use_dagster_home


@click.command()
def home() -> None:
    """Make DAGSTER_HOME with its dagster.yaml, or compare the one that is there.

    Dagster's webserver and daemon run by that file. It is yours once it is there: a new release does not change it, but
    this command then shows what is new. Without DAGSTER_HOME it is the folder .dagster.
    """
    folder = use_dagster_home()
    changed = differences(folder)
    if not changed:
        click.echo(f"DAGSTER_HOME={folder}: its {SETTINGS} is that of this release.")
        return
    click.echo(f"DAGSTER_HOME={folder}: its {SETTINGS} is not that of this release. Lines with + are of the release:\n")
    click.echo(changed)
