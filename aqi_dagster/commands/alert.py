"""The command ``aqi-dagster alert``: what is pending is sent now."""

import click
from tabulate import tabulate

from aqi_dagster.commands.options import own_store, say
from aqi_dagster.dagster_home import use_dagster_home
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.sql import transaction
from aqi_dagster.pipeline.verdicts.outbox.attempts import send_again
from aqi_dagster.settings import load_settings


@click.command()
@click.option(
    "--again", is_flag=True, help="Also those of which nobody knows whether a channel has them, or that it refused."
)
def alert(again: bool) -> None:
    """Send the alerts that are pending.

    A running Dagster does so by itself, within a minute.
    """
    from aqi_dagster.runs import run_alerts

    use_dagster_home()
    if again:
        with own_store().exclusive() as writer, transaction(writer):
            number = send_again(writer)
        click.echo(f"{number} unknown or refused {'alert is' if number == 1 else 'alerts are'} sent again.")
    run_alerts(say)
    with Store(load_settings().data_dir).reader() as connection:
        rows = connection.execute("SELECT status, count(*) FROM slack_alerts GROUP BY ALL ORDER BY ALL").fetchall()
        others = connection.execute(
            "SELECT channel, status, count(*) FROM deliveries GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    click.echo(tabulate(rows, ["alerts so far", "number"]))
    if others:
        click.echo()
        click.echo(tabulate(others, ["other channel", "alerts so far", "number"]))
