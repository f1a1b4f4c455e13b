"""The lines of a file, packed or not, in memory that does not grow with it."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, cast

from aqi_dagster.errors import InputFileError
from aqi_dagster.feeds.messages import MOST_BYTES

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class Line(NamedTuple):
    """A line without its end: its number from 1 on, and its text or, where it cannot be read, the problem."""

    number: int
    text: str
    problem: str | None = None


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of the UTF-8 file ``path``, blank ones left out; unpacked if its name ends in .gz.

    Raises ``InputFileError`` where the file as a whole cannot be read (further).
    """
    number = 0
    with opened(path) as file:
        while data := file.readline(MOST_BYTES + 1):
            number += 1
            if number == 1:
                if data.startswith(_UTF16_MARKS):
                    raise InputFileError(f"{path}: is UTF-16; save it as UTF-8")
                data = data.removeprefix(_BYTE_ORDER_MARK)
            if len(data) > MOST_BYTES and not data.endswith(b"\n"):
                _skip_line(file)
                yield Line(number, "", f"is longer than any reading: more than {MOST_BYTES:,} bytes")
            elif data.strip():
                yield _line(number, data)


def read_whole(path: Path, most_bytes: int) -> bytes:
    """All bytes of ``path``, unpacked if its name ends in .gz; ``InputFileError`` if there are over ``most_bytes``."""
    with opened(path) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise InputFileError(f"{path}: is larger than {most_bytes:,} bytes")
    return data.removeprefix(_BYTE_ORDER_MARK)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked if its name ends in .gz; what it as a whole has wrong is ``InputFileError``."""
    try:
        with path.open("rb") as file:
            yield cast(IO[bytes], gzip.GzipFile(fileobj=file)) if path.name.lower().endswith(".gz") else file
    except (OSError, EOFError, zlib.error) as error:
        raise InputFileError(f"{path}: cannot be read: {error}") from error


def _line(number: int, data: bytes) -> Line:
    try:
        return Line(number, data.decode("utf-8").rstrip("\r\n"))
    except UnicodeDecodeError:
        return Line(number, "", "is not UTF-8")


def _skip_line(file: IO[bytes]) -> None:
    while data := file.readline(MOST_BYTES):
        if data.endswith(b"\n"):
            return
