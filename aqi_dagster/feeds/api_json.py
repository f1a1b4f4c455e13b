"""Answers of PurpleAir's API, saved as JSON: all sensors, one sensor, and the history of one."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aqi_dagster.errors import InputFileError
from aqi_dagster.feeds.api_csv import TIME_COLUMN, api_fields, known_sensor, require_first_laser
from aqi_dagster.feeds.context import Context, SourcedMessages
from aqi_dagster.feeds.purpleair import api_columns, measured
from aqi_dagster.feeds.sensor_list import Sensor
from aqi_dagster.feeds.times import canonical_time
from aqi_dagster.message_fields import INDEX_FIELD
from aqi_dagster.sensors import even_spelling

LAST_SEEN = "last_seen"
"""When an answer's values were measured. An offline sensor's row goes on to repeat the old ones."""

KIND = "answer of the API"


def is_answer(document: Mapping[str, Any]) -> bool:
    """Whether ``document`` is an answer that may hold readings."""
    table = isinstance(document.get("fields"), list) and isinstance(document.get("data"), list)
    return table or isinstance(document.get("sensor"), dict)


def read_answer(path: Path, number: int, document: Mapping[str, Any], context: Context) -> SourcedMessages:
    """The messages of an answer that begins in line ``number``. Raises ``InputFileError`` if it can hold no reading."""
    rows = [*_rows(path, number, document, context)]
    there = tuple(rows[0]) if rows else ()
    time = TIME_COLUMN if TIME_COLUMN in there else LAST_SEEN
    if rows:
        require_first_laser(path, api_columns(there))
        if time not in there:
            raise InputFileError(f"{path}: lacks {LAST_SEEN}; when it was asked for does not say when it was measured")
    source = context.report.source(path, KIND)
    for place, row in enumerate(rows, start=1):
        cells = measured({name: text for name, text in row.items() if isinstance(text, str)})
        sensor, problem = _sensor(cells, context), None
        if sensor is None:
            problem = (
                f"nobody knows where sensor {cells.get(INDEX_FIELD)} is: ask for latitude and longitude, or --sensors"
            )
        elif canonical_time(cells.get(time, "")) is None:
            problem = f"{time} is no time: {cells.get(time)!r}"
        if sensor is None or problem is not None:
            context.report.bad_line(path, number, f"row {place}: {problem}")
            continue
        yield source, context.message(sensor.place, api_fields(cells, there, sensor, time))


def _rows(path: Path, number: int, document: Mapping[str, Any], context: Context) -> Iterator[dict[str, Any]]:
    """Each sensor's or each moment's values by field."""
    if isinstance(document.get("sensor"), dict):
        yield dict(document["sensor"])
        return
    names = document["fields"]
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise InputFileError(f"{path}: the answer has {' and '.join(twice)} twice")
    of_all = {INDEX_FIELD: document[INDEX_FIELD]} if INDEX_FIELD in document and INDEX_FIELD not in names else {}
    for place, row in enumerate(document["data"], start=1):
        if not isinstance(row, list) or len(row) != len(names):
            context.report.bad_line(path, number, f"row {place}: not as many values as there are fields")
        else:
            yield {**of_all, **dict(zip(names, row, strict=True))}


def _sensor(cells: Mapping[str, str], context: Context) -> Sensor | None:
    """The sensor that a row is of: as the list of sensors has it, or else where the row says that it is."""
    known = known_sensor(cells.get(INDEX_FIELD, ""), context)
    if known is not None:
        return known
    place = even_spelling(f"{cells.get('latitude', '')}, {cells.get('longitude', '')}")
    return None if place is None else Sensor(place)
