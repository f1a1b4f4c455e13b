"""What a user is told of the files that were read, before and after their messages are sent."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import click

from aqi_dagster.errors import InputFileError
from aqi_dagster.feeds.feed import Counts, Feed, opened_feed
from aqi_dagster.feeds.sources import Source
from aqi_dagster.message_fields import OWN_NAMES, FieldNames
from aqi_dagster.pipeline.numbers import counted
from aqi_dagster.progress import on_terminal
from aqi_dagster.windows import utc_now

FILES_NAMED = 20
"""Files that are named one by one; more of them are counted by kind."""

REASONS_NAMED = 3


@contextmanager
def summarized_feed(
    files: Iterable[Path], sensor_lists: Iterable[Path], future_allowance: timedelta, names: FieldNames = OWN_NAMES
) -> Iterator[Feed]:
    """What ``files`` hold (:func:`~aqi_dagster.feeds.feed.opened_feed`), described on the terminal.

    Raises ``InputFileError`` if there is no reading among it, and behind the block, if something is wrong with a file
    or a line of it, one that lists all that.
    """
    with ExitStack() as stack:
        with on_terminal() as progress:
            newest = utc_now() + future_allowance
            feed = stack.enter_context(opened_feed(files, newest, sensor_lists, names, progress))
        for line in summary_lines(feed):
            click.echo(line)
        wrong = faults(feed)
        if not feed.counts.readings:
            raise InputFileError("\n".join(["There is no reading in these files, so nothing is sent.", *wrong]))
        try:
            yield feed
        except InputFileError as error:
            raise InputFileError("\n".join([str(error), *wrong])) from error
    if wrong:
        count = "One thing is" if len(wrong) == 1 else f"{len(wrong)} things are"
        raise InputFileError("\n".join([f"{count} wrong with the files; all else was sent.", *wrong]))


def summary_lines(feed: Feed) -> Iterator[str]:
    """Lines on what was read, what the pipeline will make of it, and what was left out and why."""
    yield from _files(feed.sources)
    yield from _readings(feed.counts)
    for note in feed.report.notes:
        yield f"Note: {note}."
    for what in _contradictions(feed.counts, between_files=False):
        yield f"Note: {what}."
    for what in feed.report.left_out:
        yield f"Left out: {what}."


def faults(feed: Feed) -> list[str]:
    """All that is wrong, of files, lines and devices."""
    return [*feed.report.faults, *_contradictions(feed.counts, between_files=True)]


def _files(sources: list[Source]) -> Iterator[str]:
    if len(sources) <= FILES_NAMED:
        devices = Counter(source.path for source in sources)
        for source in sources:
            name = source if devices[source.path] > 1 else source.path
            rest = source.messages - source.readings
            others = f" and {counted(rest, 'message')} to be rejected" if rest else ""
            yield f"Read {name} [{source.kind}]: {counted(source.readings, 'reading')}{others}."
        return
    for kind, count in Counter(source.kind for source in sources).items():
        messages = sum(source.messages for source in sources if source.kind == kind)
        paths = len({source.path for source in sources if source.kind == kind})
        what = f"{counted(paths, 'file')} [{kind}]" + (f" of {counted(count, 'device')}" if count > paths else "")
        yield f"Read {what}: {counted(messages, 'message')}."


def _readings(counts: Counts) -> Iterator[str]:
    span = f", {counts.first:%Y-%m-%d %H:%M} to {counts.last:%Y-%m-%d %H:%M} UTC" if counts.first else ""
    of_them = f"{counts.readings:,} of {counted(counts.messages, 'message')}"
    verb = "is a reading" if counts.readings == 1 else "are readings"
    yield f"{of_them} {verb}, of {counted(counts.sensors, 'sensor')}{span}."
    rejected = sum(counts.reasons.values())
    if rejected:
        yield f"{rejected:,} would be rejected: {_counted(counts.reasons)}."
    if counts.emptied:
        yield f"Left empty, because it cannot be read: {_counted(counts.emptied)}."
    if counts.repeated:
        yield f"{counts.repeated:,} repeat the sensor and time of one before them, and are not scored."


def _contradictions(counts: Counts, between_files: bool) -> Iterator[str]:
    for (first, second), count in counts.other_values.items():
        if (first.path != second.path) == between_files:
            where = f"{first} and {second}" if between_files else f"{first}"
            what = counted(count, "reading")
            yield f"{where}: {what} with other values than one of the same sensor and time, which alone counts"


def _counted(counts: Counter[str]) -> str:
    named = [f"{name} ({count:,})" for name, count in counts.most_common(REASONS_NAMED)]
    return ", ".join(named) + (f" and {len(counts) - len(named)} more" if len(counts) > len(named) else "")
