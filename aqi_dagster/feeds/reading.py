"""What a file is, by its header or its content, and the reader for it."""

from collections.abc import Callable, Iterable
from pathlib import Path

from aqi_dagster.errors import InputFileError
from aqi_dagster.feeds import api_csv, sd_card
from aqi_dagster.feeds.api_csv import read_history
from aqi_dagster.feeds.classic import ClassicFile, download_of, open_classic, read_classic
from aqi_dagster.feeds.context import Context, SourcedMessages
from aqi_dagster.feeds.documents import read_documents
from aqi_dagster.feeds.finding import DOCUMENT, LINES, TABLE, ending
from aqi_dagster.feeds.ndjson import read_ndjson
from aqi_dagster.feeds.pairing import with_second_lasers
from aqi_dagster.feeds.sd_card import read_card
from aqi_dagster.feeds.seed import is_seed, read_seed
from aqi_dagster.feeds.sensor_list import list_columns
from aqi_dagster.feeds.tables import read_header
from aqi_dagster.message_fields import TIME_FIELD
from aqi_dagster.pipeline.numbers import counted

Reader = Callable[[Path, Context], SourcedMessages]


def read_files(files: Iterable[Path], context: Context) -> SourcedMessages:
    """The messages of all ``files``. What is wrong with a file or a line is noted, and the others are read."""
    readers: dict[Path, Reader | ClassicFile] = {}
    for file in files:
        try:
            reader = _recognise(file, context)
        except InputFileError as error:
            context.report.fault(str(error))
        else:
            if reader is not None:
                readers[file] = reader
    classic = [reader for reader in readers.values() if isinstance(reader, ClassicFile)]
    second_lasers = {file.path: lines for file, lines in with_second_lasers(classic, context.report)}
    for path, reader in readers.items():
        try:
            if not isinstance(reader, ClassicFile):
                yield from reader(path, context)
            elif path in second_lasers:
                yield from read_classic(reader, second_lasers[path], context)
        except InputFileError as error:
            context.report.fault(str(error))


def _recognise(path: Path, context: Context) -> Reader | ClassicFile | None:
    """How ``path`` is to be read; None if it is left out or was a list of sensors.

    Raises ``InputFileError`` if it is of no known kind, or with what is wrong with it.
    """
    if ending(path) in LINES:
        return read_ndjson
    if ending(path) in DOCUMENT:
        return read_documents
    if ending(path) not in TABLE:
        raise InputFileError(
            f"{path}: unknown kind of file; expected .ndjson, .jsonl, .csv or .json, with or without .gz"
        )
    return _recognise_table(path, context)


def _recognise_table(path: Path, context: Context) -> Reader | ClassicFile | None:
    header = read_header(path)
    if TIME_FIELD in header:
        if download_of(path.name) is None and is_seed(path):
            return read_seed
        found = open_classic(path)
        if isinstance(found, str):
            context.report.left_out.append(f"{path}: {found}")
            return None
        return found
    if api_csv.TIME_COLUMN in header:
        return read_history
    if sd_card.TIME_COLUMN in header:
        return read_card
    if list_columns(path) is not None:
        count = context.sensors.add(path)
        context.report.notes.append(f"{path}: a list of {counted(count, 'sensor')}")
        return None
    raise InputFileError(f"{path}: its first line is no header that is known: {', '.join(header)[:100]}")
