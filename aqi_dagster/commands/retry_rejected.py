"""The command ``aqi-dagster retry-rejected``: rejected messages once more."""

import click
from tabulate import tabulate

from aqi_dagster.commands.options import own_store
from aqi_dagster.pipeline.decoding.machine_code import keep_machine_code
from aqi_dagster.pipeline.readings.retake import retake_all
from aqi_dagster.progress import on_terminal
from aqi_dagster.settings import load_settings
from aqi_dagster.windows import utc_now


@click.command("retry-rejected")
def retry_rejected() -> None:
    """Decode all rejected messages again.

    What is a reading by today's definition becomes one, once, under its own offset. The rest stay rejected, with
    today's reasons. A run waits meanwhile.
    """
    settings, store = load_settings(), own_store()
    keep_machine_code(settings.data_dir)
    with store.exclusive() as writer, on_terminal() as progress:
        retaken = retake_all(writer, utc_now(), settings.future_allowance, settings.field_names, progress)
    store.publish()
    numbers = {
        "decoded again": retaken.messages,
        "readings now": retaken.accepted,
        "repeated among them": retaken.repeated,
        "still rejected": retaken.remaining,
    }
    click.echo(tabulate([(name, f"{number:,}") for name, number in numbers.items()], tablefmt="plain"))
    if retaken.accepted > retaken.repeated:
        click.echo(
            "\nThe next run of their windows takes them in; `aqi-dagster status` names those that have run before."
        )
