"""CSV of a sensor's own card: a header at each start, ``nan`` where nothing was measured, no place."""

import re
from functools import lru_cache
from pathlib import Path

from aqi_dagster.errors import InputFileError
from aqi_dagster.feeds.api_csv import known_sensor
from aqi_dagster.feeds.classic import download_of
from aqi_dagster.feeds.context import Context, SourcedMessages
from aqi_dagster.feeds.own_fields import own_fields, own_sensor
from aqi_dagster.feeds.purpleair import measured, sensor_columns
from aqi_dagster.feeds.sensor_list import Sensor, device_id
from aqi_dagster.feeds.sources import Source
from aqi_dagster.feeds.tables import read_header, read_rows
from aqi_dagster.feeds.times import canonical_time
from aqi_dagster.message_fields import PM25_FIELD

TIME_COLUMN = "UTCDateTime"

KIND = "a sensor's card"

_DEVICE = "mac_address"
_MASS = re.compile(r"(pm(?:1_0|2_5|10_0))_(cf_1|atm)(_b)?")


def read_card(path: Path, context: Context) -> SourcedMessages:
    """The messages of ``path``. Raises ``InputFileError`` if it lacks PM2.5; lines that are none are noted."""
    header = read_header(path)
    if PM25_FIELD not in sensor_columns(_named_rightly(header)):
        raise InputFileError(f"{path}: lacks pm2_5_cf_1")
    sources: dict[str, Source] = {}
    of_name = _sensor_of_name(path, context)
    for row in read_rows(path, context.report):
        columns = _named_rightly(row.header)
        cells = measured(dict(zip(columns, row.cells, strict=True)))
        device, time = device_id(cells.get(_DEVICE, "")), cells.get(TIME_COLUMN, "")
        sensor = own_sensor(device, context) or of_name
        fields, problem = own_fields(cells, columns, time)
        if canonical_time(time) is None:
            problem = f"{TIME_COLUMN} is no time: {time!r}"
        if sensor is None:
            problem = f"nobody knows where {device or 'it'} is: the list that --sensors names must have its mac_address"
        if sensor is None or problem is not None:
            context.report.bad_line(path, row.number, problem or "")
            continue
        if device not in sources:
            sources[device] = context.report.source(path, KIND, device or None)
        of_sensor = {name: text for name, text in sensor.fields.items() if text is not None}
        yield sources[device], context.message(sensor.place, {**fields, **of_sensor})


def _sensor_of_name(path: Path, context: Context) -> Sensor | None:
    """The sensor whose coordinates or index the name of the file or of its folder has, or the only one of the list."""
    for name in (path.name, path.absolute().parent.name):
        download = download_of(name)
        if download is not None:
            return Sensor(download.place, name=download.name or None)
        index = re.match(r"\d+", name, re.ASCII)
        sensor = known_sensor(index[0], context) if index else None
        if sensor is not None:
            return sensor
    listed = context.sensors.listed
    return listed[0] if len(listed) == 1 else None


@lru_cache(maxsize=64)
def _named_rightly(header: tuple[str, ...]) -> tuple[str, ...]:
    """``header`` with CF=1 and CF=ATM as they are: firmware of before October 2019 has their names mixed up.

    The masses by CF=1 come first in every card; where they are called by CF=ATM there, the names are mixed up.
    """
    masses = [match for column in header if (match := _MASS.fullmatch(column)) and not match[3]]
    if [match[2] for match in masses] != ["atm"] * 3 + ["cf_1"] * 3:
        return header
    swapped = {"cf_1": "atm", "atm": "cf_1"}
    return tuple(_MASS.sub(lambda match: f"{match[1]}_{swapped[match[2]]}{match[3] or ''}", name) for name in header)
