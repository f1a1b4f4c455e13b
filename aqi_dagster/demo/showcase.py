"""The demo: the whole pipeline on a synthetic summer (or the reader's own files), and `dagster dev` on the same data.

It stores all of its files in one folder, and connects to nothing beyond 127.0.0.1 unless the environment names a Kafka
of your own.
"""

import logging
import os
import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from tabulate import tabulate

from aqi_dagster.dagster_home import use_dagster_home
from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.demo.findings import print_findings
from aqi_dagster.demo.plan import Plan
from aqi_dagster.demo.simulator import simulate
from aqi_dagster.demo.summer import Summer
from aqi_dagster.demo.webhook import WebhookReceiver
from aqi_dagster.errors import RunFailedError
from aqi_dagster.feeds.messages import Message
from aqi_dagster.feeds.producer import create_topic, produce
from aqi_dagster.feeds.summary import summarized_feed
from aqi_dagster.installation import own_command, shell_path
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.progress import on_terminal
from aqi_dagster.settings import librdkafka_settings, load_settings
from aqi_dagster.windows import WINDOW_LENGTH, window_key

FOLDER = Path(".demo")

PARTITIONS = 4

_log = logging.getLogger(__name__)

_REGIONAL_WINDOWS = """
SELECT window_start, region, verdict, count_sensors, count_anomalies, max_pm25
FROM regional_windows
ORDER BY ALL
"""


def run_demo(files: Sequence[Path], sensor_lists: Sequence[Path] = ()) -> None:
    """Fill a topic, run all its windows through Dagster, have alerts told, and print what came of it.

    Raises ``InputFileError`` if none of ``files`` holds a reading, and in the end if something is wrong with them.
    """
    settings = load_settings()
    if not files:
        plan = Plan.of_summer()
        summer = Summer(plan.first, settings.field_names)
        _show(plan, summer.messages(plan.first, plan.last + WINDOW_LENGTH))
        return
    with summarized_feed(files, sensor_lists, settings.future_allowance, settings.field_names) as feed:
        _show(Plan.of_feed(feed, files, sensor_lists), feed.messages())


def _show(plan: Plan, messages: Iterator[Message]) -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    plan.save(FOLDER / "demo.json")
    with _kafka() as servers, WebhookReceiver() as slack:
        _configure(plan, servers, slack.url)
        # Imported here, because the definitions read the first window at import.
        from aqi_dagster.runs import run_alerts, run_windows

        use_dagster_home()
        settings = load_settings()
        config = librdkafka_settings(settings)
        create_topic(config, settings.kafka_topic, PARTITIONS)
        click.echo(f"Sending readings to topic {settings.kafka_topic} at {servers} ...")
        with on_terminal() as progress:
            produce(config, settings.kafka_topic, messages, progress)
        first, last = window_key(plan.first), window_key(plan.last)
        click.echo(f"Running the windows {first} to {last} through Dagster ...")
        run_windows(first, last, say=click.echo)
        click.echo("Telling Slack (a local stand-in) ...")
        run_alerts()
        missed = []
        if plan.summer:
            missed = print_findings(plan.summer, plan.last)
        else:
            _print_windows()
        _print_messages(slack)
    click.echo(
        f"\nSee where, and since when: {own_command()} dev   (then http://127.0.0.1:8050)\n"
        f"See it in the Dagster UI:  the same   (then http://127.0.0.1:3000)\n"
        f"Ask it in SQL:             {_sql_hint()}\n"
        f"Load your own readings:    {own_command()} demo folder-or-file"
    )
    if missed:
        raise RunFailedError(f"The rules that judge missed what they can tell: {'; '.join(missed)}.")


def serve_demo(port: int, page_port: int = 0) -> None:
    """Serve the demo's data with ``dagster dev``, the broker beside it, and the sensors going on to send.

    The page for people is served on ``page_port``, unless that is 0.
    """
    if not (FOLDER / "demo.json").exists():
        run_demo([])
    plan = Plan.load(FOLDER / "demo.json")
    stop = threading.Event()
    with EmbeddedBroker() as broker, WebhookReceiver() as slack:
        _configure(plan, broker.bootstrap_servers, slack.url)
        from aqi_dagster.serving import page_beside, serve

        use_dagster_home()
        settings = load_settings()
        config = librdkafka_settings(settings)
        create_topic(config, settings.kafka_topic, PARTITIONS)
        click.echo(
            f"Broker at {broker.bootstrap_servers}; Dagster at http://127.0.0.1:{port} in a moment"
            f"{f', the page for people at http://127.0.0.1:{page_port}' if page_port else ''}. Ctrl-C ends all."
        )

        def send() -> None:
            with plan.feed() as feed:
                if feed is None:
                    simulate(Summer(plan.first, settings.field_names), config, settings.kafka_topic, plan.first, stop)
                else:
                    produce(config, settings.kafka_topic, feed.messages())

        sensors = threading.Thread(target=send, name="simulated-sensors")
        sensors.start()
        try:
            with page_beside(page_port, port):
                serve(port, FOLDER)
        finally:
            stop.set()
            sensors.join()


@contextmanager
def _kafka() -> Iterator[str]:
    """The servers that KAFKA_BOOTSTRAP_SERVERS names, or else those of an embedded broker for the time of the block."""
    servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if servers:
        yield servers
        return
    with EmbeddedBroker() as broker:
        yield broker.bootstrap_servers


def _configure(plan: Plan, servers: str, webhook_url: str) -> None:
    """Point every setting of this process and its children to the demo's folder, broker and stand-in for Slack."""
    os.environ.update(
        KAFKA_BOOTSTRAP_SERVERS=servers,
        KAFKA_TOPIC=plan.topic,
        # The embedded broker loses its topic when it stops, so each start creates it anew.
        KAFKA_ON_RECREATED_TOPIC="reread",
        # Simulated sensors are never looked up, whatever your own settings are.
        AQI_REGION_METHOD="name",
        AQI_DATA_DIR=str((FOLDER / "data").absolute()),
        AQI_FIRST_WINDOW=window_key(plan.first),
        SLACK_WEBHOOK_URL=webhook_url,
        DAGSTER_HOME=str((FOLDER / "dagster").absolute()),
    )


def _print_windows() -> None:
    """Print a table of the regional windows."""
    with Store(load_settings().data_dir).reader() as connection:
        rows = connection.execute(_REGIONAL_WINDOWS).fetchall()
    headers = ["window (UTC)", "region", "verdict", "sensors", "anomalies", "max PM2.5, ug/m3"]
    click.echo(tabulate([[f"{row[0]:%Y-%m-%d %H:%M}", *row[1:]] for row in rows], headers, floatfmt=".1f"))


def _print_messages(slack: WebhookReceiver) -> None:
    click.echo(f"\nSlack was told, in {len(slack.messages)} messages:")
    for payload in slack.messages:
        click.echo(f"  {payload['text']}")


def _sql_hint() -> str:
    """A command that prints the windows: by the DuckDB shell, or by Python where that is not installed."""
    query = "SELECT window_start, region, verdict, count_sensors, max_pm25 FROM regional_windows ORDER BY ALL DESC"
    file = FOLDER / "data" / "aqi.duckdb"
    if shutil.which("duckdb"):
        return f'duckdb -readonly {file} "{query}"'
    python = f"import duckdb; print(duckdb.connect('{file}', read_only=True).sql('{query}'))"
    return f'{shell_path(Path(sys.executable))} -c "{python}"'
