"""Tables as text: one header, or the same one again and again, and a row a line."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from aqi_dagster.errors import InputFileError
from aqi_dagster.feeds.lines import read_lines
from aqi_dagster.feeds.sources import Report
from aqi_dagster.pipeline.numbers import counted

_LFS_POINTER = "version https://git-lfs.github.com/spec/"


class Row(NamedTuple):
    """A row with its line's number and the header that holds for it; as many cells as the header has columns."""

    number: int
    header: tuple[str, ...]
    cells: list[str]


def read_header(path: Path) -> tuple[str, ...]:
    """The columns that the first line of ``path`` names; ``InputFileError`` if it has none or cannot be read."""
    for line in read_lines(path):
        if line.text.startswith(_LFS_POINTER):
            raise InputFileError(f"{path}: is a pointer of Git LFS, not the file itself: run `git lfs pull` there")
        cells = _cells(line.text)
        if line.problem or cells is None:
            raise InputFileError(f"{path}, line {line.number}: {line.problem or 'is no CSV'}")
        return _header(cells)
    raise InputFileError(f"{path}: is empty")


def read_rows(path: Path, report: Report, last_is_named: bool = True) -> Iterator[Row]:
    """The rows of ``path``. Lines that are none are noted in ``report``; a column that comes twice ``InputFileError``.

    Unless ``last_is_named``, the last column counts though the header has no name for it.

    A line that begins as the header does is a header itself: files are put together, and sensors write one at each
    start. Every line stands alone, so that a quotation mark without its other half costs one line, not all behind it.
    """
    header: tuple[str, ...] = ()
    for line in read_lines(path):
        cells = _cells(line.text)
        if line.problem or cells is None:
            report.bad_line(path, line.number, line.problem or "is no CSV")
        elif not header or cells[0].strip() == header[0]:
            header = _header(cells) if last_is_named else tuple(cell.strip() for cell in cells)
            _require_distinct(path, line.number, header)
        elif not any(cell.strip() for cell in cells):
            continue
        elif len(cells) < len(header) or any(cells[len(header) :]):
            report.bad_line(path, line.number, f"{counted(len(cells), 'value')} for the header's {len(header)} columns")
        else:
            yield Row(line.number, header, cells[: len(header)])


def _require_distinct(path: Path, number: int, columns: Sequence[str]) -> None:
    """Raise ``InputFileError`` if one of ``columns`` comes twice: nobody knows which of both is meant."""
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise InputFileError(f"{path}, line {number}: the header has {' and '.join(twice)} twice")


def _header(cells: Sequence[str]) -> tuple[str, ...]:
    """The columns of a header; downloads of the old map end each line with a comma, which makes none."""
    names = tuple(cell.strip() for cell in cells)
    return names[:-1] if names[-1:] == ("",) else names


def _cells(text: str) -> list[str] | None:
    try:
        return next(csv.reader((text,), strict=True), None)
    except csv.Error:
        return None
