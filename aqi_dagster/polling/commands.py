"""``aqi-dagster feed``: its commands, and what they say before they begin."""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from aqi_dagster.errors import AqiError, ConfigurationError, FeedError, InputFileError
from aqi_dagster.feeds.context import Context
from aqi_dagster.polling.api import PurpleAir, api_key
from aqi_dagster.polling.clock import FeedClock, MachineTime, SystemClock
from aqi_dagster.polling.delivery import Delivery
from aqi_dagster.polling.exits import GIVEN_UP
from aqi_dagster.polling.history import LONGEST_PIECE, History, history_span
from aqi_dagster.polling.liveness import first_polled, local_sensors
from aqi_dagster.polling.local_feed import LocalFeed
from aqi_dagster.polling.loop import run
from aqi_dagster.polling.memory import Memory, opened_memory
from aqi_dagster.polling.purpleair_feed import SHORTEST_INTERVAL, Options, PurpleAirFeed
from aqi_dagster.polling.selections import chosen
from aqi_dagster.polling.summary import history_end, history_line, list_of_sensors, local_lines, purpleair_lines
from aqi_dagster.polling.supervisor import feeds_of, run_feeds
from aqi_dagster.polling.told_once import ToldOnce
from aqi_dagster.progress import on_terminal
from aqi_dagster.settings import PURPLEAIR_API_KEY, Settings, librdkafka_settings, load_settings

ANY_POINTS = 10**12
"""No bound: the user is asked."""

DAY = 86_400

_WHICH = [
    click.option("--box", "boxes", multiple=True, metavar="N,W,S,E", help="The sensors of a box, in degrees."),
    click.option("--indices", multiple=True, metavar="1,2,...", help="Sensors by their numbers."),
    click.option("--group", "groups", multiple=True, metavar="ID", help="The members of a group of the key's owner."),
    click.option("--indoors", is_flag=True, help="Also sensors that are indoors."),
]

_LISTS = click.option(
    "--sensors",
    "lists",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV with index, latitude, longitude, name: it knows better where sensors are.",
)
_ONCE = click.option("--once", is_flag=True, help="Ask once, send, and end: for cron.")
_PARTITIONS = click.option(
    "--partitions", type=click.IntRange(1), default=4, show_default=True, help="If the topic must be made."
)
_KEEP = click.option(
    "--keep-days",
    type=click.FloatRange(0, 30),
    default=0.0,
    help="Keep what was sent, and send it again at each start: for a broker that keeps nothing itself.",
)


class _GivenUpError(click.ClickException):
    exit_code = GIVEN_UP


class _FeedCommand(click.Command):
    """Ends with :data:`GIVEN_UP` where starting again would change nothing, so that services do not."""

    def invoke(self, context: click.Context) -> object:
        logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, stream=sys.stderr)
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            return None
        except AqiError as error:
            given_up = isinstance(error, FeedError | ConfigurationError | InputFileError)
            failure = (_GivenUpError if given_up else click.ClickException)(str(error))
        raise failure


def _which(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_WHICH):
        command = option(command)
    return command


@click.group()
def feed() -> None:
    """Ask sensors for their readings, and send them to the topic.

    docs/feeds.md leads from a new key to the first window, and says what it costs.
    """


@feed.command(cls=_FeedCommand)
@_which
@_LISTS
@click.option("--every", type=click.FloatRange(2, 60), default=10.0, show_default=True, help="Minutes between polls.")
@click.option(
    "--points-a-day", type=click.IntRange(1), default=150_000, show_default=True, help="What a day may cost at most."
)
@click.option("--list", "listing", is_flag=True, help="Write the sensors as CSV for --sensors, and end.")
@_ONCE
@_PARTITIONS
@_KEEP
def purpleair(
    boxes: Sequence[str],
    indices: Sequence[str],
    groups: Sequence[str],
    indoors: bool,
    lists: Sequence[Path],
    every: float,
    points_a_day: int,
    listing: bool,
    once: bool,
    partitions: int,
    keep_days: float,
) -> None:
    """Poll sensors of PurpleAir's API.

    The key is PURPLEAIR_API_KEY, in the environment or .env. What a day costs is told before it begins.
    """
    settings = load_settings()
    selections = chosen(boxes, indices, groups)
    options = Options(max(every * 60, SHORTEST_INTERVAL), points_a_day, indoors, settings.future_allowance)
    api = _api(settings)
    with opened_memory(settings.data_dir, "purpleair") as memory:
        clock = FeedClock(SystemClock(), memory.number("latest"))
        poller = PurpleAirFeed(
            *(api, selections, memory, _context(settings, lists), clock, options),
            lambda now: local_sensors(settings.data_dir, now),
        )
        if listing:
            sensors = poller.list_sensors()
            if sensors is None:
                raise click.ClickException("PurpleAir's API does not answer now; try again.")
            click.echo(list_of_sensors(sensors), nl=False)
            return
        poller.prepare()
        for line in purpleair_lines(poller, options):
            click.echo(line, err=True)
        run(poller, _delivery(settings, memory, poller.told, partitions, keep_days), once)


@feed.command(cls=_FeedCommand)
@click.argument("addresses", nargs=-1, required=True, metavar="http://SENSOR...")
@_LISTS
@click.option("--every", type=click.FloatRange(2, 60), default=2.0, show_default=True, help="Minutes between polls.")
@_ONCE
@_PARTITIONS
@_KEEP
def local(
    addresses: Sequence[str], lists: Sequence[Path], every: float, once: bool, partitions: int, keep_days: float
) -> None:
    """Poll sensors on the local network. It costs nothing.

    Of a list of sensors (--sensors) the column mac_address says which one is which.
    """
    settings = load_settings()
    with opened_memory(settings.data_dir, "local") as memory:
        poller = LocalFeed(
            *(addresses, memory, _context(settings, lists), MachineTime(SystemClock())),
            interval=every * 60,
            future_allowance=settings.future_allowance,
        )
        for line in local_lines(poller):
            click.echo(line, err=True)
        run(poller, _delivery(settings, memory, poller.told, partitions, keep_days), once)


@feed.command(cls=_FeedCommand)
@_which
@_LISTS
@click.option("--from", "first", metavar="ISO", help="From when on, UTC, such as 2026-11-20T00:00.")
@click.option("--days", type=click.FloatRange(0, min_open=True), help="Instead of --from: so many days before --to.")
@click.option("--to", "last", metavar="ISO", help="Until when, excluded. [default: the first reading that was polled]")
@click.option(
    "--average", type=click.Choice([*map(str, LONGEST_PIECE)]), default="10", show_default=True, help="Minutes."
)
@click.option("--yes", is_flag=True, help="Do not ask whether it may cost what it costs.")
@_PARTITIONS
def history(
    boxes: Sequence[str],
    indices: Sequence[str],
    groups: Sequence[str],
    indoors: bool,
    lists: Sequence[Path],
    first: str | None,
    days: float | None,
    last: str | None,
    average: str,
    yes: bool,
    partitions: int,
) -> None:
    """Fill a range of time from PurpleAir's history.

    A row is the mean of --average minutes, or what was reported (0). What was filled before is not asked for again, so
    that the same command goes on where it ended.
    """
    settings = load_settings()
    selections, api = chosen(boxes, indices, groups), _api(settings)
    with opened_memory(settings.data_dir, "history") as memory:
        clock = FeedClock(SystemClock(), memory.number("latest"))
        span = history_span(first, days, last, first_polled(settings.data_dir) or clock.now(), int(average) * 60 or 60)
        options = Options(points_a_day=ANY_POINTS, indoors=indoors)
        finder = PurpleAirFeed(api, selections, memory, _context(settings, lists), clock, options)
        sensors = finder.list_sensors(max_age=0)
        if sensors is None:
            raise click.ClickException("PurpleAir's API does not answer now; try again.")
        filler = History(api, sensors, memory, _context(settings, lists), clock)
        missing = filler.missing(span, int(average))
        click.echo(history_line(sensors, missing, span))
        if missing and not yes:
            click.confirm("Shall it be asked for?", abort=True)
        delivery = _delivery(settings, memory, finder.told, partitions, 0)
        with on_terminal() as progress:
            count = filler.fill_all(missing, delivery, progress)
        click.echo(f"Sent {count:,} readings to topic {settings.kafka_topic}.")
        for line in history_end(filler.problems, span):
            click.echo(line)


@feed.command("run", cls=_FeedCommand)
def run_all() -> None:
    """Run the feeds that AQI_FEED names.

    A feed that dies is started again. This is what a service runs; `make dev` runs them by itself.
    """
    feeds = feeds_of(load_settings().feed)
    if not feeds:
        raise ConfigurationError("AQI_FEED is not set: it names the feeds to run. docs/feeds.md has examples.")
    sys.exit(run_feeds(feeds))


def _api(settings: Settings) -> PurpleAir:
    return PurpleAir(api_key(os.environ.get(PURPLEAIR_API_KEY, "")), settings.purpleair_url)


def _context(settings: Settings, lists: Sequence[Path]) -> Context:
    """What makes messages: the names of the topic's fields, and what ``lists`` say of sensors."""
    context = Context(names=settings.field_names)
    for path in lists:
        context.sensors.add(path)
    return context


def _delivery(settings: Settings, memory: Memory, told: ToldOnce, partitions: int, keep_days: float) -> Delivery:
    """The way to the settings' topic; what was kept is to be sent again."""
    if keep_days:
        memory.send_again()
    config = librdkafka_settings(settings)
    return Delivery(memory, config, settings.kafka_topic, partitions, told, keep_days * DAY)
