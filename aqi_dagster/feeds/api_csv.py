"""CSV by PurpleAir's sensor index: of the Data Download Tool, and of the API's sensor history.

Neither says where the sensor is: the list of sensors does.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from aqi_dagster.errors import InputFileError
from aqi_dagster.feeds.context import Context, SourcedMessages
from aqi_dagster.feeds.purpleair import API_FIELDS, api_columns, measured
from aqi_dagster.feeds.sensor_list import Sensor
from aqi_dagster.feeds.sources import Source
from aqi_dagster.feeds.tables import read_header, read_rows
from aqi_dagster.feeds.times import canonical_time
from aqi_dagster.message_fields import INDEX_FIELD, PM25_FIELD, TIME_FIELD

TIME_COLUMN = "time_stamp"

KIND = "history by sensor index"

_NAME = re.compile(r"(\d+)(?:[ ._].*)?", re.ASCII | re.DOTALL)
_AVERAGE = re.compile(r"\d+ \d{4}-\d\d-\d\d \d{4}-\d\d-\d\d (.*?)(?: \(\d+\))?\.csv(?:\.gz)?", re.ASCII | re.IGNORECASE)


def read_history(path: Path, context: Context) -> SourcedMessages:
    """The messages of ``path``.

    Raises ``InputFileError`` if it has no PM2.5 of the first laser, or if nobody knows which sensor it is of.
    """
    header = read_header(path)
    require_first_laser(path, api_columns(header))
    of_file = None if INDEX_FIELD in header else sensor_of_file(path, context)
    average = _AVERAGE.fullmatch(path.name)
    sources: dict[Sensor, Source] = {}
    for row in read_rows(path, context.report):
        cells = measured(dict(zip(row.header, row.cells, strict=True)))
        sensor = of_file or known_sensor(cells.get(INDEX_FIELD, ""), context)
        problem = "its sensor is not in the list of sensors" if sensor is None else _no_reading(cells)
        if sensor is None or problem is not None:
            context.report.bad_line(path, row.number, problem or "")
            continue
        if sensor not in sources:
            sources[sensor] = context.report.source(path, KIND, average[1] if average else None)
        yield sources[sensor], context.message(sensor.place, api_fields(cells, row.header, sensor, TIME_COLUMN))


def require_first_laser(path: Path, chosen: Mapping[str, str]) -> None:
    """Raise ``InputFileError`` unless PM2.5 of the first laser, or the mean of both, is among ``chosen``."""
    if PM25_FIELD not in chosen:
        names = " or ".join(API_FIELDS[PM25_FIELD])
        raise InputFileError(f"{path}: lacks {names}, the PM2.5 (CF=1) of the first laser or of both")


def known_sensor(index: str, context: Context) -> Sensor | None:
    """The sensor with ``index`` in the list of sensors, if it is there."""
    digits = index.strip().removesuffix(".0")
    return context.sensors.by_index.get(int(digits)) if digits.isascii() and digits.isdigit() else None


def sensor_of_file(path: Path, context: Context) -> Sensor:
    """The sensor whose index the name of ``path`` begins with; ``InputFileError`` if the list of sensors lacks it."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise InputFileError(
            f"{path}: has no column {INDEX_FIELD}, nor does its name begin with the sensor's index, as in "
            '"30001 2023-06-16 2023-06-17 10-Minute Average.csv"'
        )
    sensor = known_sensor(match[1], context)
    if sensor is None:
        raise InputFileError(
            f"{path}: nobody knows where sensor {match[1]} is: --sensors names a list with index, latitude, longitude "
            "and name"
        )
    return sensor


def api_fields(
    cells: Mapping[str, str], there: tuple[str, ...], sensor: Sensor, time_column: str
) -> dict[str, str | None]:
    """The fields of a message from ``cells`` of the columns that are ``there``; the list of sensors knows better."""
    fields = {field: cells.get(name) for field, name in api_columns(there).items()}
    time = canonical_time(cells.get(time_column, ""))
    of_list = {name: text for name, text in sensor.fields.items() if text is not None}
    return {TIME_FIELD: time, **fields, **of_list}


def _no_reading(cells: Mapping[str, str]) -> str | None:
    time = cells.get(TIME_COLUMN, "")
    return None if canonical_time(time) else f"{TIME_COLUMN} is no time: {time!r}"
