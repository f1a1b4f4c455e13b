"""The command ``aqi-dagster produce``: files of readings into the topic."""

from collections.abc import Sequence
from pathlib import Path

import click

from aqi_dagster.commands.options import FILES, SENSOR_LISTS
from aqi_dagster.feeds.producer import create_topic, produce
from aqi_dagster.feeds.summary import summarized_feed
from aqi_dagster.pipeline.numbers import counted
from aqi_dagster.progress import on_terminal
from aqi_dagster.settings import librdkafka_settings, load_settings


@click.command("produce")
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
        with on_terminal() as progress:
            sent = produce(config, topic, feed.messages(), progress, feed.counts.messages)
        click.echo(f"Sent {counted(sent, 'message')} to topic {topic}.")
