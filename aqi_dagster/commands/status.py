"""The command ``aqi-dagster status``: the store and the topic at a glance."""

import click
from tabulate import tabulate

from aqi_dagster.pipeline.reporting.label_words import label_rows
from aqi_dagster.pipeline.reporting.status import Choices, partition_status, store_status
from aqi_dagster.pipeline.reporting.status_words import status_rows, time_in_words
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.restored import unpublished_store
from aqi_dagster.pipeline.topic.reader import TopicReader
from aqi_dagster.pipeline.verdicts.label_files import NAME as LABELS
from aqi_dagster.pipeline.verdicts.rule_sets import RULE_SETS
from aqi_dagster.pipeline_settings import anomaly_thresholds, detector_parameters, region_choice
from aqi_dagster.settings import librdkafka_settings, load_settings

_PATIENCE_SECONDS = 60.0
"""How long to wait for a run that has just begun on a restored store."""


@click.command()
def status() -> None:
    """Tell offsets, lag, windows and alerts.

    They are read from the published copy, or from the store itself if that was restored from a backup and not published
    yet, and asked of the broker; nothing runs.
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
    store = Store(settings.data_dir)
    unpublished = unpublished_store(store.with_patience(0))
    if unpublished is not None:
        click.echo(f"{unpublished} What follows is read from the store.\n")
    with store.reader() if unpublished is None else store.with_patience(_PATIENCE_SECONDS).inspect() as connection:
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
