"""The command ``aqi-dagster materialize``: a range of windows through Dagster, and what became of them."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import click
from tabulate import tabulate

from aqi_dagster.commands.options import WINDOW, say
from aqi_dagster.dagster_home import use_dagster_home
from aqi_dagster.pipeline.numbers import counted
from aqi_dagster.pipeline.reporting.pull_words import PullNumbers, pull_in_words
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.settings import load_settings
from aqi_dagster.windows import WindowRange, window_key

_REGIONAL_WINDOWS = """
SELECT region, window_start, verdict, count_sensors, count_anomalies, min_event, max_pm25
FROM regional_windows
WHERE window_start BETWEEN ? AND ?
ORDER BY window_start, region
"""

_WAITING = """
SELECT replace(kind, '_', ' '), verdict, coalesce(subject, region), window_start
FROM slack_alerts
WHERE status = 'pending'
ORDER BY alert_id
"""

WAITING_NAMED = 10
"""Alerts that wait and are named one by one."""


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

    keys = window_key(first), window_key(last)
    say(f"Running {counted(len(WindowRange(first, last)), 'window')}, {' to '.join(keys)}:")
    run_windows(*keys, tell, say)
    with Store(settings.data_dir).reader() as connection:
        rows = connection.execute(_REGIONAL_WINDOWS, [first, last]).fetchall()
        waiting = connection.execute(_WAITING).fetchall()
    headers = ["region", "window (UTC)", "verdict", "sensors", "anomalies", "first event (UTC)", "max PM2.5, ug/m3"]
    click.echo(tabulate(rows, headers, floatfmt=".2f") if rows else "No window of the range holds an anomaly.")
    for line in _waiting_in_words(waiting):
        click.echo(line)


def _waiting_in_words(alerts: Sequence[tuple[str, str, str, datetime]]) -> Iterator[str]:
    """Lines that name the ``alerts`` that wait to be sent: kind, verdict, whom it is about, and window (start)."""
    if not alerts:
        return
    pending = "1 alert is pending" if len(alerts) == 1 else f"{len(alerts)} alerts are pending"
    yield f"{pending}: a running `aqi-dagster dev` sends what is pending within a minute, `aqi-dagster alert` at once."
    for kind, verdict, subject, window in alerts[:WAITING_NAMED]:
        what = verdict if kind in ("verdict", "sensor") else f"{kind}: {verdict}"
        yield f"- {what} ({subject}, window {window_key(window)})"
    if len(alerts) > WAITING_NAMED:
        yield f"- and {len(alerts) - WAITING_NAMED} more"
