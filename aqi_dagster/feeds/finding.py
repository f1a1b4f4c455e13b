"""Which files are to be read: those that were named, and all that lie below the folders that were."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from aqi_dagster.feeds.sources import Report

LINES, TABLE, DOCUMENT = (".ndjson", ".jsonl"), (".csv",), (".json",)

OTHERS_NAMED = 5
"""Files of a folder that are none of readings and are named one by one."""


def find_files(paths: Iterable[Path], report: Report) -> list[Path]:
    """``paths`` with each folder replaced by the files of readings below it, in order of their names; each once.

    What is passed over, and a folder that holds none, is noted in ``report``.
    """
    files: dict[Path, Path] = {}
    for path in paths:
        for file in _below(path, report) if path.is_dir() else [path]:
            if file.resolve() in files:
                report.left_out.append(f"{file}: is named twice, and read once")
            else:
                files[file.resolve()] = file
    return [*files.values()]


def ending(path: Path) -> str:
    """How the file's name ends, in small letters and without .gz."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _below(folder: Path, report: Report) -> Iterator[Path]:
    others: list[Path] = []
    found = False
    for directory, folders, names in os.walk(folder, onerror=lambda error: report.fault(f"{folder}: {error}")):
        folders.sort()
        hidden = [name for name in folders if name.startswith(".")]
        others += [Path(directory, name) for name in hidden]
        folders[:] = [name for name in folders if name not in hidden]
        for name in sorted(names):
            file = Path(directory, name)
            if name.startswith(".") or ending(file) not in LINES + TABLE + DOCUMENT:
                others.append(file)
            else:
                found = True
                yield file
    if others:
        more = f" and {len(others) - OTHERS_NAMED} more" if len(others) > OTHERS_NAMED else ""
        report.left_out.append(
            f"{', '.join(map(str, others[:OTHERS_NAMED]))}{more}: hidden, or no .ndjson, .csv or .json"
        )
    if not found:
        report.fault(f"{folder}: no .ndjson, .jsonl, .csv or .json file below this folder")
