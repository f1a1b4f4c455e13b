"""Downloads of PurpleAir's old map, which ended in 2022: a file for each laser, named after its device and place."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aqi_dagster.errors import InputFileError
from aqi_dagster.feeds.context import Context, SourcedMessages
from aqi_dagster.feeds.labels import Labels, read_labels
from aqi_dagster.feeds.purpleair import SECOND_LASER, measured
from aqi_dagster.feeds.tables import read_header, read_rows
from aqi_dagster.message_fields import LOCATION_FIELD, NAME_FIELD
from aqi_dagster.sensors import even_spelling

KIND = "classic download"

_NAME = re.compile(
    r"(?P<name>.*?)\s*(?:\((?P<type>outside|inside|undefined)\)\s*)?"
    r"\((?P<latitude>-?\d+(?:\.\d+)?)[ ,]+(?P<longitude>-?\d+(?:\.\d+)?)\)"
    r"\s*(?:Primary|Secondary)?\s*(?P<average>.*?)\s*(?:\d\d_\d\d_\d{4}.*)?(?:\(\d+\))?",
    re.ASCII | re.DOTALL,
)
_TYPE = re.compile(r"\((outside|inside|undefined)\)")
_LOCATIONS = {"outside": "0", "inside": "1"}
_TEMPERATURES = ("RSSI_dbm", "Temperature_F", "Humidity_%", "Humidity")
"""What the first laser's file has, and the second one's has not."""

_SECOND_COLUMNS = re.compile(r"(?i)adc|pressure|iaq")
_COUNTS = re.compile(r"[>=]*\d+\.\d+ ?um(/dl)?")
"""Columns of the secondary downloads: particles by size."""


@dataclass(frozen=True)
class Download:
    """What the name of a download says: device, place in its one spelling, location type, span of its averages."""

    name: str
    place: str
    type: str | None
    average: str

    @property
    def device(self) -> str:
        """What tells its messages from those of others at the same place."""
        return ", ".join(filter(None, [self.name, "inside" if self.type == "inside" else "", self.average]))

    @property
    def fields(self) -> dict[str, str | None]:
        """What its messages say of their sensor."""
        return {NAME_FIELD: self.name or None, LOCATION_FIELD: _LOCATIONS.get(self.type or "")}


def download_of(name: str) -> Download | None:
    """What the file's name ``name`` says; None if it has no coordinates.

    >>> download_of("Shed B (undefined) (38.9 -120.1) Primary Real Time 09_01_2022 09_02_2022.csv")
    Download(name='Shed B', place='38.9, -120.1', type='undefined', average='Real Time')
    """
    stem = re.sub(r"(?i)(\.csv)?(\.gz)?$", "", name)
    match = _NAME.fullmatch(stem)
    place = even_spelling(f"{match['latitude']}, {match['longitude']}") if match else None
    if match is None or place is None:
        return None
    # Something may stand between type and coordinates: a sensor inside must not pass for one outside by that.
    kind = match["type"] or next(iter(_TYPE.findall(match["name"])), None)
    return Download(match["name"], place, kind, match["average"])


@dataclass(frozen=True)
class ClassicFile:
    """A download and how its columns are to be read."""

    path: Path
    download: Download
    labels: Labels
    is_second: bool


def open_classic(path: Path) -> ClassicFile | str:
    """The download ``path``, or why it is left out though nothing is wrong with it.

    Raises ``InputFileError`` if its name has no coordinates, or with what is wrong in its header.
    """
    header = read_header(path)
    if any(_COUNTS.fullmatch(column) for column in header) and not any("PM2.5" in column for column in header):
        return "counts of particles (a secondary download): it holds no PM2.5"
    download = download_of(path.name)
    if download is None:
        raise InputFileError(f'{path}: the file\'s name has no coordinates such as "(38.75 -120.93)"')
    return ClassicFile(path, download, read_labels(path, header), is_second_laser(download, header))


def is_second_laser(download: Download, header: Sequence[str]) -> bool:
    """Whether a download is of the device's second laser: by its columns, or as PurpleAir names it; never by a "B"."""
    has_second_columns = any(_SECOND_COLUMNS.match(column) for column in header)
    return download.type == "undefined" or (has_second_columns and not set(_TEMPERATURES) & set(header))


def read_classic(file: ClassicFile, second: Mapping[int, str], context: Context) -> SourcedMessages:
    """The messages of ``file``; ``second`` has what the second laser read, by number of the line that it belongs to."""
    source = context.report.source(file.path, KIND, file.download.device)
    for row in read_rows(file.path, context.report):
        labels = read_labels(file.path, row.header)
        cells = dict(zip(row.header, row.cells, strict=True))
        problem = labels.contradiction(cells)
        if problem:
            context.report.bad_line(file.path, row.number, problem)
            continue
        fields = {**measured(labels.fields(cells)), **file.download.fields, SECOND_LASER: second.get(row.number)}
        yield source, context.message(file.download.place, fields)
