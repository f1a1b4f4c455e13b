"""The command ``aqi-dagster label``: what somebody knows to be true, beside what the rules said."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click
from duckdb import DuckDBPyConnection
from tabulate import tabulate

from aqi_dagster.commands.options import WINDOW, own_store
from aqi_dagster.errors import LabelError
from aqi_dagster.pipeline.reporting.label_words import label_rows
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.pipeline.verdicts.label_files import NAME, labels_only_in, read_label_file, write_labels
from aqi_dagster.pipeline.verdicts.labels import (
    OPPOSITES,
    Label,
    Subject,
    TruthName,
    judged_of,
    read_labels,
    region_in,
    remove_labels,
    said_by,
    sensor_in,
    store_labels,
)
from aqi_dagster.windows import WindowRange, utc_now, window_key

_MARKS = ("right", "wrong", "smoke", "no smoke", "broken", "fine", "remove")

_HEADERS = ["window (UTC)", "region or sensor", "truth", "judged then", "was", "judged now", "note"]


@click.command("label")
@click.option("--region", help="The region whose verdict is labelled.")
@click.option("--sensor", help="The sensor whose health is labelled.")
@click.option("--window", type=WINDOW, help="Start of the window, such as 2022-07-18T00:00.")
@click.option("--from", "first", type=WINDOW, help="Of a sensor: start of the first window of a range.")
@click.option("--to", "last", type=WINDOW, help="Start of the last window of the range, included.")
@click.option("--right", "mark", flag_value="right", help="What was judged is right.")
@click.option("--wrong", "mark", flag_value="wrong", help="What was judged is wrong.")
@click.option("--smoke", "mark", flag_value="smoke", help="There was smoke in the region.")
@click.option("--no-smoke", "mark", flag_value="no smoke", help="There was none.")
@click.option("--broken", "mark", flag_value="broken", help="The sensor was broken.")
@click.option("--fine", "mark", flag_value="fine", help="It was not.")
@click.option("--remove", "mark", flag_value="remove", help="Remove the label.")
@click.option("--note", help="How you know.")
@click.option("--export", "target", type=click.Path(dir_okay=False, path_type=Path), help="Write all labels to a file.")
@click.option(
    "--import", "source", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Take in such a file."
)
def label(
    region: str | None,
    sensor: str | None,
    window: datetime | None,
    first: datetime | None,
    last: datetime | None,
    mark: str | None,
    note: str | None,
    target: Path | None,
    source: Path | None,
) -> None:
    """Say what is true: mark a verdict or a sensor right or wrong.

    Without options it lists all labels. A later label of the same window takes the place of an earlier one.
    docs/verdicts.md says how to label, and how `aqi-dagster evaluate` uses it.
    """
    store = own_store()
    if mark is not None:
        windows = _windows(window, first, last)
        if (region is None) == (sensor is None):
            raise click.UsageError("Name either --region or --sensor.")
        if region is not None and len(windows) > 1:
            raise click.UsageError("A region is labelled window by window: name one by --window.")
        with store.exclusive() as writer:
            subjects = region_in(writer, region, windows.first) if region else sensor_in(writer, sensor or "", windows)
            _change(writer, store, subjects, mark, note)
        store.publish()
    elif any(option is not None for option in (region, sensor, window, first, last, note)):
        raise click.UsageError("Say what is true, such as --right or --wrong.")
    elif source is not None:
        with store.exclusive() as writer:
            _take_in(writer, store, read_label_file(source))
        store.publish()
    if target is not None:
        _export(store, target)
    elif mark is None and source is None:
        _list(store)


def _windows(window: datetime | None, first: datetime | None, last: datetime | None) -> WindowRange:
    if window is not None and first is None and last is None:
        return WindowRange(window, window)
    if window is not None or first is None or last is None:
        raise click.UsageError("Name either --window, or --from and --to.")
    if last < first:
        raise click.UsageError(f"--from {window_key(first)} is later than --to {window_key(last)}.")
    return WindowRange(first, last)


def _change(writer: Writer, store: Store, subjects: Sequence[Subject], mark: str, note: str | None) -> None:
    """Label ``subjects``, or remove their labels."""
    if mark == "remove":
        stored = {one.subject for one in read_labels(writer)}
        remove_labels(writer, subjects)
        _copy(writer, store, removed=subjects)
        click.echo(f"Removed {len(stored.intersection(subjects))} labels.")
        return
    judged = judged_of(writer, subjects)
    if not judged:
        what = "was never classified" if subjects[0].region else "has no health of this sensor"
        raise LabelError(f"Window {window_key(subjects[0].window_start)} {what}: there is nothing to be labelled.")
    now = utc_now()
    labels = [Label(subject, _truth(subject, said, mark), said, note, now) for subject, said in judged.items()]
    store_labels(writer, labels)
    _copy(writer, store)
    click.echo(_table(writer, labels))


def _truth(subject: Subject, judged: str, mark: str) -> TruthName:
    """The truth that a ``mark`` of what was ``judged`` tells."""
    for truth in OPPOSITES:
        if mark == truth:
            if (truth in ("smoke", "no smoke")) != bool(subject.region):
                raise click.UsageError("A region has --smoke or --no-smoke, a sensor is --broken or --fine.")
            return truth
    said = said_by(subject, judged)
    if said is None:
        which = "--smoke or --no-smoke" if subject.region else "--broken or --fine"
        raise LabelError(f"{subject}, is {judged}, which is neither right nor wrong: say {which}.")
    if mark == "wrong" and judged == "malfunction":
        raise LabelError(
            f"{subject}, is a malfunction, which can be wrong in two ways: say --smoke if there was smoke; if there "
            "was none, label the sensor itself --fine."
        )
    return said if mark == "right" else OPPOSITES[said]


def _take_in(writer: Writer, store: Store, imported: Sequence[Label]) -> None:
    """Store ``imported`` labels, save those whose subject was labelled later here."""
    stored = {one.subject: one for one in read_labels(writer)}
    newer = [one for one in imported if one.subject not in stored or stored[one.subject].labelled_at < one.labelled_at]
    store_labels(writer, newer)
    _copy(writer, store)
    click.echo(f"Imported {len(newer)} of {len(imported)} labels; of the others the store has the same or later ones.")
    missing = [one.subject for one in newer if not judged_of(writer, [one.subject])]
    if missing:
        click.echo(f"{len(missing)} of them are of windows of which nothing is stored, such as {missing[0]}.")


def _copy(writer: Writer, store: Store, removed: Sequence[Subject] = ()) -> None:
    """Write all labels beside the published copy, together with those there that the store lacks."""
    path = store.published.with_name(NAME)
    stored = read_labels(writer)
    lacking = [one for one in labels_only_in(path, stored) if one.subject not in removed]
    write_labels(path, [*stored, *lacking])


def _export(store: Store, target: Path) -> None:
    with store.inspect() as connection:
        labels = read_labels(connection)
    write_labels(target, labels)
    click.echo(f"Wrote {len(labels)} labels to {target}.")


def _list(store: Store) -> None:
    with store.inspect() as connection:
        labels = read_labels(connection)
        click.echo(_table(connection, labels) if labels else "There are no labels yet; --help says how to label.")
        for row in label_rows(connection, store.published.with_name(NAME)):
            click.echo(f"\n{row[0]}: {row[1]}")


def _table(connection: DuckDBPyConnection, labels: Sequence[Label]) -> str:
    now = judged_of(connection, [one.subject for one in labels])
    rows = [
        [
            f"{one.subject.window_start:%Y-%m-%d %H:%M}",
            one.subject.region or one.subject.sensor,
            one.truth,
            one.judged,
            one.mark or "open",
            now.get(one.subject, "not stored"),
            one.note or "",
        ]
        for one in labels
    ]
    return tabulate(rows, _HEADERS)
