"""The command ``aqi-dagster materialize``: a range of windows through Dagster, and what became of them."""

from datetime import datetime

import click
from tabulate import tabulate

from aqi_dagster.commands.options import WINDOW
from aqi_dagster.dagster_home import use_dagster_home
from aqi_dagster.pipeline.reporting.pull_words import PullNumbers, pull_in_words
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.settings import load_settings
from aqi_dagster.windows import window_key

_REGIONAL_WINDOWS = """
SELECT region, window_start, verdict, count_sensors, count_anomalies, min_event, max_pm25
FROM regional_windows
WHERE window_start BETWEEN ? AND ?
ORDER BY window_start, region
"""


@click.command()
@click.option(
    "--from", "first", type=WINDOW, required=True, help="Start of the first window, such as 2022-07-18T00:00."
)
@click.option("--to", "last", type=WINDOW, required=True, help="Start of the last window, included.")
def materialize(first: datetime, last: datetime) -> None:
    """Run a range of windows, and print them and what was pulled.

    They run through the Dagster instance as a backfill's do, and show in its pages.
    """
    from aqi_dagster.runs import run_windows

    use_dagster_home()
    if first > last:
        raise click.UsageError(f"--from {window_key(first)} is later than --to {window_key(last)}.")
    settings = load_settings()

    def tell(numbers: PullNumbers) -> None:
        for line in pull_in_words(numbers, settings.first_window):
            click.echo(line)

    run_windows(window_key(first), window_key(last), tell)
    with Store(settings.data_dir).reader() as connection:
        rows = connection.execute(_REGIONAL_WINDOWS, [first, last]).fetchall()
        pending = connection.execute("SELECT count(*) FROM slack_alerts WHERE status = 'pending'").fetchall()[0][0]
    headers = ["region", "window (UTC)", "verdict", "sensors", "anomalies", "first event (UTC)", "max PM2.5, ug/m3"]
    click.echo(tabulate(rows, headers, floatfmt=".2f") if rows else "No window of the range holds an anomaly.")
    if pending:
        alerts = "1 alert is pending" if pending == 1 else f"{pending} alerts are pending"
        click.echo(
            f"{alerts}: a running `aqi-dagster dev` sends what is pending within a minute, `aqi-dagster alert` at once."
        )
