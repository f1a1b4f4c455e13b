"""The command line: ``aqi-dagster``."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from dotenv import load_dotenv
from tabulate import tabulate

from aqi_dagster.commands.dev import dev
from aqi_dagster.commands.evaluate import evaluate
from aqi_dagster.commands.label import label
from aqi_dagster.commands.materialize import materialize
from aqi_dagster.commands.mute import mute
from aqi_dagster.commands.options import own_store
from aqi_dagster.commands.replay import replay
from aqi_dagster.commands.sensor import sensor
from aqi_dagster.errors import AqiError
from aqi_dagster.feeds.producer import create_topic, delivery_bar, produce
from aqi_dagster.feeds.summary import summarized_feed
from aqi_dagster.foreign_warnings import leave_out_python_warnings
from aqi_dagster.pipeline.numbers import counted
from aqi_dagster.pipeline.readings.retake import retake_all
from aqi_dagster.pipeline.reporting.label_words import label_rows
from aqi_dagster.pipeline.reporting.status import Choices, partition_status, store_status
from aqi_dagster.pipeline.reporting.status_words import status_rows, time_in_words
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.sql import transaction
from aqi_dagster.pipeline.topic.reader import TopicReader
from aqi_dagster.pipeline.verdicts.label_files import NAME as LABELS
from aqi_dagster.pipeline.verdicts.outbox.attempts import send_again
from aqi_dagster.pipeline.verdicts.rule_sets import RULE_SETS
from aqi_dagster.pipeline_settings import anomaly_thresholds, detector_parameters, region_choice
from aqi_dagster.settings import librdkafka_settings, load_settings
from aqi_dagster.windows import utc_now

FILES = click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
SENSOR_LISTS = click.option(
    "--sensors",
    "sensor_lists",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV with index, latitude, longitude, name: where the sensors are whose files have only their index.",
)


class _Group(click.Group):
    """Tells our own errors in a line instead of a traceback."""

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except AqiError as error:
            message = str(error)
        raise click.ClickException(message)


@click.group(cls=_Group)
def main() -> None:
    """Smoke or a broken sensor? PM2.5 readings from Kafka, scored and classified in 12-hour windows.

    Settings come from the environment and from the file .env; .env.example lists them.
    """
    load_dotenv(".env")
    leave_out_python_warnings()


@main.command()
@click.option("--port", type=click.IntRange(1, 65535), default=9092, show_default=True, help="TCP port on 127.0.0.1.")
def broker(port: int) -> None:
    """Run a Kafka-protocol broker in memory.

    It runs until it is interrupted, and forgets everything then.
    """
    from aqi_dagster.demo.broker import EmbeddedBroker

    with EmbeddedBroker(port) as running:
        try:
            click.echo(f"Kafka-protocol broker at {running.bootstrap_servers}; Ctrl-C ends it and what it holds.")
            status = running.wait()
        except KeyboardInterrupt:
            return
    raise click.ClickException(f"The broker ended by itself with status {status}.")


@main.command("produce")
@FILES
@SENSOR_LISTS
@click.option("--partitions", type=click.IntRange(1), default=4, show_default=True, help="If the topic must be made.")
def produce_files(files: Sequence[Path], sensor_lists: Sequence[Path], partitions: int) -> None:
    """Load readings from files into the topic.

    FILES may be folders, too, which are searched below. NDJSON with lines {"key": "lat, long", "value": {...}},
    PurpleAir's downloads and API answers, and what its sensors write themselves; plain or .gz. They are checked before
    anything is sent, and sent in order of time. The topic is created if need be. docs/feeding.md says more.
    """
    settings = load_settings()
    if not files:
        raise click.UsageError("Name at least one file or folder of readings.")
    config, topic = librdkafka_settings(settings), settings.kafka_topic
    with summarized_feed(files, sensor_lists, settings.future_allowance, settings.field_names) as feed:
        if create_topic(config, topic, partitions):
            click.echo(f"Created topic {topic} with {partitions} partitions.")
        with delivery_bar("sending") as delivered:
            sent = produce(config, topic, feed.messages(), delivered)
        click.echo(f"Sent {counted(sent, 'message')} to topic {topic}.")


main.add_command(materialize)


@main.command("feed", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run_feed(arguments: Sequence[str]) -> None:
    """Ask PurpleAir's API, or sensors on the local network, for readings, and send them to the topic."""
    # In the place of this process: a feed runs for months, and needs none of what is imported here.
    os.execv(sys.executable, [sys.executable, "-m", "aqi_dagster.polling", *arguments])  # noqa: S606


@main.command()
@click.option(
    "--again", is_flag=True, help="Also those of which nobody knows whether a channel has them, or that it refused."
)
def alert(again: bool) -> None:
    """Send the alerts that are pending.

    A running Dagster does so by itself, within a minute.
    """
    from aqi_dagster.runs import run_alerts, use_dagster_home

    use_dagster_home()
    if again:
        with own_store().exclusive() as writer, transaction(writer):
            number = send_again(writer)
        click.echo(f"{number} unknown or refused {'alert is' if number == 1 else 'alerts are'} sent again.")
    run_alerts()
    with Store(load_settings().data_dir).reader() as connection:
        rows = connection.execute("SELECT status, count(*) FROM slack_alerts GROUP BY ALL ORDER BY ALL").fetchall()
        others = connection.execute(
            "SELECT channel, status, count(*) FROM deliveries GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    click.echo(tabulate(rows, ["alerts so far", "number"]))
    if others:
        click.echo()
        click.echo(tabulate(others, ["other channel", "alerts so far", "number"]))


@main.command()
def status() -> None:
    """Tell offsets, lag, windows and alerts.

    They are read from the published copy and asked of the broker; nothing runs.
    """
    settings = load_settings()
    reader = TopicReader(librdkafka_settings(settings), settings.kafka_topic, min(settings.kafka_timeout_seconds, 10.0))
    choices = Choices(
        settings.first_window,
        detector_parameters(settings),
        anomaly_thresholds(settings),
        region_choice(settings),
        RULE_SETS[settings.rules],
    )
    with Store(settings.data_dir).reader() as connection:
        summary = store_status(connection, choices, settings.digest_after)
        labels = label_rows(connection, settings.data_dir / LABELS)
        partitions, trouble = partition_status(connection, reader)
    click.echo(tabulate([*status_rows(summary), *labels], tablefmt="plain"))
    lags = [
        (p.partition, p.next_offset, "unknown" if p.lag is None else p.lag, time_in_words(p.updated_at))
        for p in partitions
    ]
    click.echo()
    click.echo(tabulate(lags, ["partition", "next offset", "lag", "read (UTC)"]))
    if trouble:
        click.echo(f"\nThe lag is unknown. {trouble}")


@main.command("retry-rejected")
def retry_rejected() -> None:
    """Decode all rejected messages again.

    What is a reading by today's definition becomes one, once, under its own offset. The rest stay rejected, with
    today's reasons. A run waits meanwhile.
    """
    settings, store = load_settings(), own_store()
    with store.exclusive() as writer:
        retaken = retake_all(writer, utc_now(), settings.future_allowance, settings.field_names)
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


@main.command()
@FILES
@SENSOR_LISTS
def demo(files: Sequence[Path], sensor_lists: Sequence[Path]) -> None:
    """Show the whole pipeline at work.

    On a synthetic summer, or on the readings in FILES. Everything lives in the folder .demo, which is made anew.
    """
    from aqi_dagster.demo.showcase import run_demo

    run_demo(files, sensor_lists)


main.add_command(evaluate)

main.add_command(replay)

main.add_command(label)
main.add_command(sensor)

main.add_command(mute)

main.add_command(dev)
