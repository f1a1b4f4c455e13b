"""The command ``aqi-dagster sensor``: what an operator knows of a sensor, and the rules cannot."""

from datetime import datetime

import click
from duckdb import DuckDBPyConnection
from tabulate import tabulate

from aqi_dagster.commands.options import WINDOW, own_store
from aqi_dagster.errors import SensorUnknownError
from aqi_dagster.pipeline.health.known_trouble import Kind, Record, forget_last, read_trouble, record_trouble
from aqi_dagster.windows import utc_now, window_key, window_start

_JUDGED_SINCE = """
SELECT min(window_start)
FROM sensor_health
WHERE sensor = ? AND window_start >= ?
"""


_UNTIL = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"])


# A sensor in the south begins with a hyphen, as options do.
@click.command("sensor", context_settings={"ignore_unknown_options": True})
@click.argument("name", metavar="SENSOR")
@click.option("--broken-until", "until", type=_UNTIL, help="It counts as faulty up to then, UTC.")
@click.option("--exclude", "mark", flag_value="excluded", help="It is scored, but has no part in any verdict.")
@click.option("--repaired", "mark", flag_value="repaired", help="It is sound, and its history begins anew.")
@click.option("--forget", "mark", flag_value="forget", help="Remove what was recorded last.")
@click.option("--since", type=WINDOW, help="First window in which it holds; without it, the one that is going on.")
@click.option("--reason", help="Why; it shows wherever the sensor is named.")
def sensor(name: str, until: datetime | None, mark: str | None, since: datetime | None, reason: str | None) -> None:
    """Record what you know of a sensor.

    Known trouble has no vote, is named, and is no news. It holds until something else is recorded of the sensor.
    Without options the command lists what is recorded. docs/verdicts.md says more.
    """
    if until is not None and mark is not None:
        raise click.UsageError("Say one thing at a time.")
    store = own_store()
    begin = since or window_start(utc_now())
    if until is not None and until <= begin:
        raise click.UsageError(f"--broken-until {until} is not after the first window, {window_key(begin)}.")
    if until is None and mark is None:
        with store.inspect() as connection:
            _require_sensor(connection, name)
            click.echo(_list(connection, name))
        return
    kind: Kind = "broken" if until is not None else "repaired" if mark == "repaired" else "excluded"
    with store.exclusive() as writer:
        _require_sensor(writer, name)
        if mark == "forget":
            click.echo(f"Removed {forget_last(writer, name)} of what was recorded.")
        else:
            record_trouble(writer, Record(name, kind, begin, until, reason or "no reason given", utc_now()))
        click.echo(_list(writer, name))
        ((outdated,),) = writer.execute(_JUDGED_SINCE, [name, begin]).fetchall()
    store.publish()
    if outdated is not None or mark == "forget":
        click.echo("\nWindows that were judged before may be outdated: `aqi-dagster status` names the range to run.")


def _require_sensor(connection: DuckDBPyConnection, name: str) -> None:
    if not connection.execute("SELECT 1 FROM sensors WHERE sensor = ?", [name]).fetchall():
        raise SensorUnknownError(f"There is no sensor {name!r} in the store; the table sensors has all of them.")


def _list(connection: DuckDBPyConnection, name: str) -> str:
    """What is recorded of the sensor, the last that holds at the end."""
    records = read_trouble(connection).records.get(name, ())
    rows = [
        [
            record.kind,
            window_key(record.since),
            record.until or "",
            record.reason,
            f"{record.recorded_at:%Y-%m-%d %H:%M}",
        ]
        for record in records
    ]
    if not rows:
        return f"Nothing is recorded of {name}."
    return tabulate(rows, ["is", "since (UTC)", "until (UTC)", "reason", "recorded (UTC)"])
