"""The list of sensors that tells where those are whose files do not say so: ``sensors.csv``."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from aqi_dagster.errors import InputFileError
from aqi_dagster.feeds.sources import Report
from aqi_dagster.feeds.tables import Row, read_header, read_rows
from aqi_dagster.sensors import even_spelling

_COLUMNS = {
    "index": ("index", "sensor_index"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon", "lng", "long"),
    "name": ("name", "sensor_name"),
    "location_type": ("location_type",),
    "device": ("mac_address", "device_id", "SensorId"),
}
"""What is taken from the list, and the names that its column may have."""

_LOCATIONS = {"0": "0", "1": "1", "outside": "0", "inside": "1", "outdoor": "0", "indoor": "1", "": None}


@dataclass(frozen=True)
class Sensor:
    """A sensor of the list: its place in the one spelling, and what else is known of it."""

    place: str
    index: int | None = None
    name: str | None = None
    location_type: str | None = None

    @property
    def fields(self) -> dict[str, str | None]:
        """What its messages say of it."""
        index = None if self.index is None else str(self.index)
        return {"sensor_index": index, "sensor_name": self.name, "location_type": self.location_type}


class SensorList:
    """Sensors by PurpleAir's index and by their device's id."""

    def __init__(self) -> None:
        self.by_index: dict[int, Sensor] = {}
        self.by_device: dict[str, Sensor] = {}

    def add(self, path: Path) -> int:
        """Take in the list ``path`` and return how many sensors it holds; ``InputFileError`` names what is wrong."""
        columns = list_columns(path)
        if columns is None:
            raise InputFileError(
                f"{path}: is no list of sensors: its header must have index, latitude, longitude, name"
            )
        report, count = Report(), 0
        for row in read_rows(path, report):
            self._add(path, row.number, _values(row, columns))
            count += 1
        if report.faults:
            raise InputFileError("; ".join(report.faults))
        return count

    @property
    def listed(self) -> list[Sensor]:
        """All sensors of the list."""
        return [*{*self.by_index.values(), *self.by_device.values()}]

    def of_device(self, device: str) -> Sensor | None:
        """The sensor with the id (MAC address) ``device``, whose zeros in front may be missing."""
        return self.by_device.get(device_id(device))

    def _add(self, path: Path, number: int, values: Mapping[str, str]) -> None:
        where = f"{path}, line {number}"
        place = even_spelling(f"{values['latitude']}, {values['longitude']}")
        if place is None:
            raise InputFileError(f"{where}: {values['latitude']}, {values['longitude']} is no place on Earth")
        text, device = values["index"], device_id(values["device"])
        if not re.fullmatch(r"\d{1,18}", text, re.ASCII) and (text or not device):
            raise InputFileError(f"{where}: the index {text!r} is not a whole number")
        if values["location_type"] not in _LOCATIONS:
            raise InputFileError(f"{where}: the location type is neither 0 (outside) nor 1 (inside)")
        index = int(text) if text else None
        sensor = Sensor(place, index, values["name"] or None, _LOCATIONS[values["location_type"]])
        if index is not None and self.by_index.setdefault(index, sensor) != sensor:
            raise InputFileError(f"{where}: sensor {index} is listed twice, in two ways")
        if device and self.by_device.setdefault(device, sensor) != sensor:
            raise InputFileError(f"{where}: device {device} is listed twice, in two ways")


def list_columns(path: Path) -> dict[str, str] | None:
    """The column for each part of a list of sensors; None if ``path`` is no such list."""
    header = read_header(path)
    found = {part: name for part, names in _COLUMNS.items() for name in header if name in names}
    if not {"latitude", "longitude"} <= found.keys() or not {"index", "device"} & found.keys():
        return None
    if sum(name in names for names in _COLUMNS.values() for name in header) > len(found):
        raise InputFileError(f"{path}: the header has two columns for one thing")
    return found


def _values(row: Row, columns: Mapping[str, str]) -> dict[str, str]:
    cells = dict(zip(row.header, row.cells, strict=True))
    return {part: cells.get(columns.get(part, ""), "").strip() for part in _COLUMNS}


def device_id(text: str) -> str:
    """A MAC address in one spelling.

    >>> device_id("08:3A:8D:0b:a4:fd"), device_id("8:3a:8d:b:a4:fd")
    ('8:3a:8d:b:a4:fd', '8:3a:8d:b:a4:fd')
    """
    return ":".join(_octets(text))


def _octets(text: str) -> Iterator[str]:
    for octet in re.split("[:-]", text.strip().lower()):
        yield octet.lstrip("0") or octet[:1]
