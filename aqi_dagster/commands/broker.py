"""The command ``aqi-dagster broker``: a broker in the foreground."""

import click

from aqi_dagster.demo.broker import EmbeddedBroker


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=9092, show_default=True, help="TCP port on 127.0.0.1.")
def broker(port: int) -> None:
    """Run a Kafka-protocol broker in memory.

    It runs until it is interrupted, and forgets everything then.
    """
    with EmbeddedBroker(port) as running:
        try:
            click.echo(f"Kafka-protocol broker at {running.bootstrap_servers}; Ctrl-C ends it and what it holds.")
            status = running.wait()
        except KeyboardInterrupt:
            return
    raise click.ClickException(f"The broker ended by itself with status {status}.")
