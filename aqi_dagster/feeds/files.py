"""Files of readings, as messages for the topic: NDJSON, and the CSV downloads of PurpleAir's old map."""

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from aqi_dagster.errors import InputFileError

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_COORDINATES = re.compile(r"\((-?\d+(?:\.\d+)?) (-?\d+(?:\.\d+)?)\)")
_SECOND_CHANNEL = re.compile(r"\) Secondary | B \([a-z]+\) \(")
"""Downloads that hold other quantities, or a sensor's second laser under the same coordinates."""
_CSV_REQUIRED = ("created_at", "PM2.5_CF1_ug/m3")


class Message(NamedTuple):
    """One reading as it travels: ``key`` is the JSON text of "lat, long" with its quotes, ``value`` a JSON object."""

    key: bytes
    value: bytes


def encode_message(sensor: str, value: Mapping[str, Any]) -> Message:
    """The message of the sensor at ``sensor`` ("lat, long"), as compact JSON in UTF-8."""
    return Message(_to_json(sensor).encode(), _to_json(value).encode())


def read_file(path: Path) -> Iterator[Message]:
    """Messages of a file, whose name tells its kind; ``InputFileError`` if the name tells none."""
    kind = _kind(path)
    if kind is None:
        raise InputFileError(f"{path}: unknown kind of file; expected .ndjson, .jsonl or .csv, with or without .gz")
    return kind(path)


def data_files(paths: Iterable[Path]) -> list[Path]:
    """``paths`` with each folder replaced by the files of readings in it, in order of name.

    PurpleAir's downloads of secondary quantities and of second lasers ("B") are left out, unless they are named.

    Raises ``InputFileError`` if a folder holds none.
    """
    files: list[Path] = []
    for path in paths:
        inside = [path]
        if path.is_dir():
            inside = sorted(f for f in path.iterdir() if _kind(f) is not None and not _SECOND_CHANNEL.search(f.name))
            if not inside:
                raise InputFileError(f"{path}: no .ndjson, .jsonl or .csv file in this folder")
        files.extend(inside)
    return files


def read_ndjson(path: Path) -> Iterator[Message]:
    """Messages of a file with one ``{"key": "lat, long", "value": {...}}`` a line; empty lines are skipped.

    Raises ``InputFileError`` with the file, the line's number and what is wrong there.
    """
    with _open(path) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError as error:
                raise InputFileError(f"{path}, line {number}: not JSON: {error}") from error
            if not isinstance(record, dict):
                raise InputFileError(f"{path}, line {number}: expected an object, found {type(record).__name__}")
            key, value = record.get("key"), record.get("value")
            if not isinstance(key, str):
                raise InputFileError(f'{path}, line {number}: "key" must be the text "lat, long"')
            if not isinstance(value, dict):
                raise InputFileError(f'{path}, line {number}: "value" must be an object')
            yield encode_message(key, value)


def read_purpleair_csv(path: Path) -> Iterator[Message]:
    """Messages of a download from PurpleAir's old map, whose name carries the sensor's coordinates.

    Such a name is ``Name (outside) (38.75 -120.93) Primary Real Time 07_01_2022 09_18_2022.csv``; the key keeps the
    coordinates' digits as written. All values stay text. Raises ``InputFileError`` if the name has no coordinates, if
    a required column is missing, or with the number of a line that has not one value for each column.
    """
    found = _COORDINATES.findall(path.name)
    if not found:
        raise InputFileError(f'{path}: the file\'s name has no coordinates such as "(38.75 -120.93)"')
    sensor = ", ".join(found[-1])
    with _open(path) as lines:
        rows = csv.reader(io.TextIOWrapper(lines, encoding="utf-8-sig", newline=""))
        header = next(rows, [])
        columns = header[:-1] if header[-1:] == [""] else header  # the downloads end each line with a comma
        missing = [name for name in _CSV_REQUIRED if name not in columns]
        if missing:
            raise InputFileError(f"{path}, line 1: the header lacks {', '.join(missing)}")
        for row in filter(any, rows):
            if len(row) < len(columns) or any(row[len(columns) :]):
                problem = f"{len(row)} values for the header's {len(columns)} columns"
                raise InputFileError(f"{path}, line {rows.line_num}: {problem}")
            yield encode_message(sensor, dict(zip(columns, row, strict=False)))


def _kind(path: Path) -> Callable[[Path], Iterator[Message]] | None:
    """The reader for a file of this name, if there is one."""
    name = path.name.lower().removesuffix(".gz")
    if name.endswith((".ndjson", ".jsonl")):
        return read_ndjson
    return read_purpleair_csv if name.endswith(".csv") else None


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked if its name ends in .gz; what the file as a whole has wrong is ``InputFileError``."""
    try:
        with path.open("rb") as file:
            yield cast(IO[bytes], gzip.GzipFile(fileobj=file)) if path.name.lower().endswith(".gz") else file
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise InputFileError(f"{path}: cannot be read: {error}") from error
