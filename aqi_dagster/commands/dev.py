"""The command ``aqi-dagster dev``: Dagster's pages, with the feeds and the broker that the settings ask for."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import click

from aqi_dagster.commands.web import PORT as PAGE_PORT
from aqi_dagster.commands.web import has_extra
from aqi_dagster.dagster_home import use_dagster_home
from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.feeds.producer import create_topic
from aqi_dagster.polling.supervisor import fed, feeds_of
from aqi_dagster.settings import Settings, librdkafka_settings, load_settings

PARTITIONS = 4
"""Of a topic on the embedded broker."""

KEPT_DAYS = 3
"""Of readings that are sent again to an embedded broker that has forgotten them; a run takes them in twice a day."""


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="TCP port on 127.0.0.1.")
@click.option(
    "--page-port",
    type=click.IntRange(0, 65535),
    default=PAGE_PORT,
    show_default=True,
    help="TCP port of the page for people; 0 leaves it out.",
)
def dev(port: int, page_port: int) -> None:
    """Serve Dagster's pages, and the page for people, on 127.0.0.1.

    With KAFKA_BOOTSTRAP_SERVERS or AQI_FEED set it serves your own settings, with the feeds that AQI_FEED names, and
    without a Kafka with an embedded broker; otherwise the demo's readings, with the simulated sensors going on to send.
    """
    from aqi_dagster.demo.showcase import serve_demo
    from aqi_dagster.serving import page_beside, require_free, serve

    require_free(port)
    if page_port and not has_extra():
        click.echo("The page for people is left out: it needs the extra `web`, as in pip install 'aqi_dagster[web]'.")
        page_port = 0
    if page_port:
        require_free(page_port, "--page-port")
    settings = load_settings()
    feeds = feeds_of(settings.feed)
    if not feeds and not os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        serve_demo(port, page_port)
        return
    with kafka_of_feeds(settings, feeds) as kept:
        use_dagster_home()
        with fed(kept), page_beside(page_port, port):
            serve(port)


@contextmanager
def kafka_of_feeds(settings: Settings, feeds: list[list[str]]) -> Iterator[list[list[str]]]:
    """The feeds to run, on the Kafka that KAFKA_BOOTSTRAP_SERVERS names or that listens where one does by default.

    Where there is none, an embedded broker is started. It forgets everything when it ends, so the feeds then keep what
    they have sent, and send it again.
    """
    host, _, port = settings.kafka_bootstrap_servers.rpartition(":")
    if os.environ.get("KAFKA_BOOTSTRAP_SERVERS") or _listens(host, int(port)):
        yield feeds
        return
    with EmbeddedBroker(int(port)) as broker:
        click.echo(f"No KAFKA_BOOTSTRAP_SERVERS is set: an embedded broker listens at {broker.bootstrap_servers}.")
        os.environ["KAFKA_BOOTSTRAP_SERVERS"] = broker.bootstrap_servers
        os.environ.setdefault("KAFKA_ON_RECREATED_TOPIC", "reread")
        create_topic(librdkafka_settings(settings), settings.kafka_topic, PARTITIONS)
        yield [[*feed, "--keep-days", str(KEPT_DAYS)] for feed in feeds]


def _listens(host: str, port: int) -> bool:
    """Whether anything listens there: a Kafka that was started without being named."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
