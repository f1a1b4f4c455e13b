"""The command ``aqi-dagster replay``: the past look by look, and what Slack would have been told."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import click

from aqi_dagster.progress import on_terminal


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--rules", type=click.Choice(["network", "notebook"]), default="network", show_default=True)
@click.option("--region", default="Everywhere", show_default=True, help="What the region of all sensors is called.")
@click.option("--minutes", type=click.IntRange(5, 60), default=15, show_default=True, help="From one look to the next.")
def replay(files: Sequence[Path], rules: str, region: str, minutes: int) -> None:
    """Go through the readings in FILES look by look.

    On a simulated clock, through the whole pipeline and a stand-in for Slack; prints the channel's transcript. Nothing
    of your own store is read or written.
    """
    from aqi_dagster.demo import replay as past

    headings: Counter[str] = Counter()
    with on_terminal() as progress:
        for told in past.replay(files, rules, region, timedelta(minutes=minutes), progress):
            click.echo(str(told))
            headings[told.payload["text"].split(" in ")[0]] += 1
    click.echo("Told: " + (", ".join(f"{heading} {number}" for heading, number in headings.most_common()) or "nothing"))
