"""The command ``aqi-dagster evaluate``: both rule sets beside what is known to be true."""

from pathlib import Path

import click

from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline_settings import region_choice
from aqi_dagster.progress import on_terminal
from aqi_dagster.settings import load_settings


@click.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--labels", "by_labels", is_flag=True, help="Try them on what is labelled in your own store.")
def evaluate(folder: Path | None, by_labels: bool) -> None:
    """Try both rule sets on readings of which the truth is known.

    FOLDER holds files of readings, each with a file of truth or of labels of its name (docs/verdicts.md has the form).
    Without it the demo's summer is taken. Nothing of your own store is written, and only --labels reads it.
    """
    from aqi_dagster.demo.evaluate import evaluate_folder, evaluate_summer
    from aqi_dagster.demo.evaluate_labels import evaluate_labels

    if by_labels:
        if folder is not None:
            raise click.UsageError("Name either a folder or --labels.")
        settings = load_settings()
        with Store(settings.data_dir).reader() as connection:
            click.echo(evaluate_labels(connection, region_choice(settings).regions(connection)))
        return
    with on_terminal() as progress:
        found = evaluate_summer(progress) if folder is None else evaluate_folder(folder, progress)
    click.echo(found)
