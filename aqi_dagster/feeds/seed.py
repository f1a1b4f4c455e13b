"""The seed's own ``all.csv``: many classic downloads in one table, whose last column names the download of each row."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from aqi_dagster.feeds.classic import Download, download_of
from aqi_dagster.feeds.context import Context, SourcedMessages
from aqi_dagster.feeds.labels import Labels, read_labels
from aqi_dagster.feeds.pairing import FirstLines, SecondLines, note_pairs, pair
from aqi_dagster.feeds.purpleair import SECOND_LASER, measured
from aqi_dagster.feeds.sources import Report, Source
from aqi_dagster.feeds.tables import Row, read_rows
from aqi_dagster.message_fields import PM25_FIELD, TIME_FIELD
from aqi_dagster.pipeline.numbers import counted

KIND = "table of classic downloads"


def is_seed(path: Path) -> bool:
    """Whether the first row of ``path`` names a download in its last column."""
    first = next(read_rows(path, Report(), last_is_named=False), None)
    return first is not None and download_of(first.cells[-1].strip()) is not None


def read_seed(path: Path, context: Context) -> SourcedMessages:
    """The messages of ``path``; what rows of second lasers read goes to those of the first."""
    second = _second_lasers(path, context.report)
    sources: dict[str, Source] = {}
    for row, name, download in _rows(path, context.report):
        if download is None:
            context.report.bad_line(path, row.number, "names no download with coordinates in its last column")
        elif _is_of_first_laser(name, download):
            cells, labels = _labelled(path, row)
            problem = labels.contradiction(cells)
            if problem:
                context.report.bad_line(path, row.number, problem)
                continue
            if name not in sources:
                sources[name] = context.report.source(path, KIND, download.device)
            fields = {**measured(labels.fields(cells)), **download.fields, SECOND_LASER: second.get(row.number)}
            yield sources[name], context.message(download.place, fields)


def _is_of_first_laser(name: str, download: Download) -> bool:
    return download.type != "undefined" and not _is_secondary(name)


def _is_secondary(name: str) -> bool:
    return " Secondary " in name


def _second_lasers(path: Path, report: Report) -> dict[int, str]:
    """What the second lasers read, by number of the first one's line; what is left out is noted."""
    rows = Counter((name, download) for _, name, download in _rows(path, Report()) if download is not None)
    for (name, _), count in rows.items():
        if _is_secondary(name):
            report.left_out.append(
                f"{path}: {counted(count, 'line')} of the secondary download {name!r}: they hold no PM2.5"
            )
    found: dict[int, str] = {}
    seconds = {(d.place, d.name.removesuffix(" B")) for n, d in rows if d.type == "undefined" and not _is_secondary(n)}
    if seconds:
        for device, (first, second) in _lines_of_devices(path, seconds).items():
            name = f"{path}: second laser of {device[1]} at {device[0]}"
            if not first.lines:
                report.left_out.append(f"{name}: {counted(len(second), 'line')} without any of the first laser")
                continue
            pairs = pair(first, second)
            note_pairs(report, name, second, pairs)
            found |= pairs.get(0, {})
    return found


Device = tuple[str, str]
"""Place and name."""


def _lines_of_devices(path: Path, devices: set[Device]) -> dict[Device, tuple[FirstLines, SecondLines]]:
    """The lines of both lasers of each of ``devices``."""
    found = {device: (FirstLines(), SecondLines()) for device in devices}
    for row, name, download in _rows(path, Report()):
        if download is None or _is_secondary(name):
            continue
        is_second = download.type == "undefined"
        lines = found.get((download.place, download.name.removesuffix(" B") if is_second else download.name))
        if lines is not None:
            cells, labels = _labelled(path, row)
            fields = measured(labels.fields(cells))
            if is_second:
                lines[1].add(fields.get(TIME_FIELD, ""), fields.get(PM25_FIELD))
            else:
                lines[0].add(0, row.number, fields.get(TIME_FIELD, ""))
    return found


def _rows(path: Path, report: Report) -> Iterator[tuple[Row, str, Download | None]]:
    """The rows of ``path`` with what their last cell says."""
    known: dict[str, Download | None] = {}
    for row in read_rows(path, report, last_is_named=False):
        name = row.cells[-1].strip()
        if name not in known:
            known[name] = download_of(name)
        yield row, name, known[name]


def _labelled(path: Path, row: Row) -> tuple[dict[str, str], Labels]:
    """The cells of a row by column, without the last one, and what they are."""
    header = row.header[:-1]
    return dict(zip(header, row.cells, strict=False)), read_labels(path, header)
