"""Downloads of both lasers of a device, put together before anything is sent."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from aqi_dagster.errors import InputFileError
from aqi_dagster.feeds.classic import ClassicFile
from aqi_dagster.feeds.labels import read_labels
from aqi_dagster.feeds.lasers import WITHIN_SECONDS, partners
from aqi_dagster.feeds.purpleair import measured
from aqi_dagster.feeds.sources import Report
from aqi_dagster.feeds.tables import read_rows
from aqi_dagster.feeds.times import seconds_of
from aqi_dagster.message_fields import PM25_FIELD, TIME_FIELD
from aqi_dagster.pipeline.numbers import counted

SENT_BEFORE = (
    "readings that were sent before without their second laser stay without it, since a reading that comes again is "
    "taken for a repeat"
)


@dataclass
class FirstLines:
    """Where the lines of a device's first laser are, and when they were measured."""

    files: "array[int]" = field(default_factory=lambda: array("q"))
    lines: "array[int]" = field(default_factory=lambda: array("q"))
    seconds: "array[int]" = field(default_factory=lambda: array("q"))

    def add(self, file: int, line: int, time: str) -> None:
        """Note line ``line`` of the file with number ``file``; without a time it has no partner."""
        moment = seconds_of(time)
        if moment is not None:
            self.files.append(file)
            self.lines.append(line)
            self.seconds.append(moment)


@dataclass
class SecondLines:
    """What a device's second laser read, and when."""

    seconds: "array[int]" = field(default_factory=lambda: array("q"))
    texts: list[str] = field(default_factory=list)
    without: int = 0

    def add(self, time: str, pm25: str | None) -> None:
        """Note a line; one without time or PM2.5 can be nobody's partner."""
        moment = seconds_of(time)
        if moment is None or pm25 is None:
            self.without += 1
        else:
            self.seconds.append(moment)
            self.texts.append(pm25)

    def __len__(self) -> int:
        return len(self.texts) + self.without


def pair(first: FirstLines, second: SecondLines) -> dict[int, dict[int, str]]:
    """What the second laser read, by number of the file and of the line of the first one that it belongs to."""
    order = sorted(range(len(first.seconds)), key=first.seconds.__getitem__)
    of_second = sorted(range(len(second.seconds)), key=second.seconds.__getitem__)
    places = partners([first.seconds[n] for n in order], [second.seconds[n] for n in of_second])
    found: dict[int, dict[int, str]] = {}
    for number, place in zip(order, places, strict=True):
        if place is not None:
            found.setdefault(first.files[number], {})[first.lines[number]] = second.texts[of_second[place]]
    return found


def note_pairs(report: Report, what: str, second: SecondLines, found: Mapping[int, Mapping[int, str]]) -> None:
    """Say in ``report`` how many lines of the second laser have a partner and how many have none."""
    paired, lines = sum(map(len, found.values())), counted(len(second), "line")
    report.notes.append(
        f"{what}: {paired:,} of {lines} belong to one of the first laser, {len(second) - paired:,} have "
        f"no partner within {WITHIN_SECONDS} s"
    )
    if SENT_BEFORE not in report.notes:
        report.notes.append(SENT_BEFORE)


def with_second_lasers(files: Sequence[ClassicFile], report: Report) -> list[tuple[ClassicFile, Mapping[int, str]]]:
    """The first lasers' downloads among ``files``, each with what the second one read, by number of its line."""
    firsts = [file for file in files if not file.is_second]
    found: dict[Path, Mapping[int, str]] = {}
    for owner, seconds in _by_owner(firsts, [file for file in files if file.is_second], report).items():
        first, second = FirstLines(), SecondLines()
        of_owner = [file for file in firsts if _key(file) == owner]
        for number, file in enumerate(of_owner):
            _read_first(file, number, first)
        for file in seconds:
            _read_second(file, second, report)
        pairs = pair(first, second)
        note_pairs(
            report, f"second laser of {of_owner[0].download.name} at {of_owner[0].download.place}", second, pairs
        )
        found |= {file.path: pairs.get(number, {}) for number, file in enumerate(of_owner)}
    return [(file, found.get(file.path, {})) for file in firsts]


Key = tuple[str, str, str]
"""Place, name and span of averages of a device's downloads."""


def _key(file: ClassicFile) -> Key:
    return file.download.place, file.download.name, file.download.average


def _by_owner(
    firsts: Iterable[ClassicFile], seconds: Iterable[ClassicFile], report: Report
) -> dict[Key, list[ClassicFile]]:
    """The second lasers' downloads by the device that they are of; those of none are left out."""
    found: dict[Key, list[ClassicFile]] = {}
    keys = {_key(file) for file in firsts}
    for file in seconds:
        place, name, average = _key(file)
        here = {key for key in keys if key[0] == place and key[2] == average}
        owner = (place, name.removesuffix(" B"), average)
        # A file that somebody named anew can only be told by its place.
        if owner not in here and not name.endswith(" B") and len(here) == 1:
            (owner,) = here
        if owner in here:
            found.setdefault(owner, []).append(file)
        else:
            report.left_out.append(f"{file.path}: the second laser of a device whose first laser's file is not here")
    return found


def _read_first(file: ClassicFile, number: int, lines: FirstLines) -> None:
    # What is wrong in it is told when it is read to be sent.
    with suppress(InputFileError):
        for row in read_rows(file.path, Report()):
            cells = dict(zip(row.header, row.cells, strict=True))
            lines.add(number, row.number, cells.get(TIME_FIELD, ""))


def _read_second(file: ClassicFile, lines: SecondLines, report: Report) -> None:
    try:
        for row in read_rows(file.path, report):
            cells, labels = dict(zip(row.header, row.cells, strict=True)), read_labels(file.path, row.header)
            problem = labels.contradiction(cells)
            if problem:
                report.bad_line(file.path, row.number, problem)
                continue
            fields = measured(labels.fields(cells))
            lines.add(fields.get(TIME_FIELD, ""), fields.get(PM25_FIELD))
    except InputFileError as error:
        report.fault(str(error))
