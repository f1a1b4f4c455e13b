"""The command ``aqi-dagster mute``: nothing of smoke in a region for a while."""

from datetime import datetime

import click
from tabulate import tabulate

from aqi_dagster.commands.options import own_store
from aqi_dagster.errors import RegionUnknownError
from aqi_dagster.pipeline.store.sql import transaction
from aqi_dagster.pipeline.verdicts.mutes import Mute, muted_regions, record_mute
from aqi_dagster.pipeline.verdicts.outbox.queue import queue_mute
from aqi_dagster.windows import utc_now

_UNTIL = click.DateTime(["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"])

_REGIONS = """
SELECT region FROM conditions
UNION SELECT region FROM sensor_health WHERE region IS NOT NULL
UNION SELECT region FROM regional_windows
"""


@click.command("mute")
@click.argument("region")
@click.option("--until", type=_UNTIL, help="End, UTC.")
@click.option("--reason", default="no reason given", help="Why; the channel is told.")
@click.option("--off", is_flag=True, help="Tell everything again from now on.")
def mute(region: str, until: datetime | None, reason: str, off: bool) -> None:
    """Have nothing told of smoke in REGION for a while.

    For prescribed burns and fireworks. What is not told is recorded all the same; the channel is told once of the mute.
    """
    now = utc_now()
    if off == (until is not None):
        raise click.UsageError("Say --until when, or --off.")
    if until is not None and until <= now:
        raise click.UsageError(f"--until {until} is past: it is {now:%Y-%m-%d %H:%M} UTC.")
    store = own_store()
    one = Mute(region, now, until or now, reason)
    with store.exclusive() as writer:
        known = sorted(name for (name,) in writer.execute(_REGIONS).fetchall())
        if region not in known:
            raise RegionUnknownError(f"There is no region {region!r}; there are: {', '.join(known) or 'none yet'}.")
        with transaction(writer):
            record_mute(writer, one)
            queue_mute(writer, one)
        muted = muted_regions(writer, now)
    store.publish()
    click.echo(tabulate([*muted.items()], ["muted region", "until (UTC)"]) if muted else "No region is muted.")
