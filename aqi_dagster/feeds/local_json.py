"""What a sensor says of itself on its own network, at ``http://SENSOR/json``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aqi_dagster.feeds.context import Context, SourcedMessages
from aqi_dagster.feeds.own_fields import own_fields, own_sensor
from aqi_dagster.feeds.purpleair import measured
from aqi_dagster.feeds.sensor_list import Sensor, device_id
from aqi_dagster.feeds.times import canonical_time
from aqi_dagster.message_fields import PM25_FIELD
from aqi_dagster.sensors import even_spelling

KIND = "a sensor's own JSON"


def distinct_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; nobody knows what a member is of which there are two."""
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"{' and '.join(twice)} come twice")
    return members


DECODER = json.JSONDecoder(parse_int=str, parse_float=str, object_pairs_hook=distinct_members)
"""Numbers stay as they are written."""

_LOCATIONS = {"outside": "0", "inside": "1"}


def is_local(document: Mapping[str, Any]) -> bool:
    """Whether ``document`` is what a sensor says."""
    return "SensorId" in document and "DateTime" in document


def local_document(text: str) -> dict[str, Any] | None:
    """What a sensor says, if ``text`` is that."""
    try:
        document = DECODER.decode(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and is_local(document) else None


def read_local(path: Path, number: int, document: Mapping[str, Any], context: Context) -> SourcedMessages:
    """The message of ``document``, which begins in line ``number`` of ``path``; what is wrong with it is noted."""
    cells = measured({name: text for name, text in document.items() if isinstance(text, str)})
    sensor = own_sensor(cells.get("SensorId", ""), context) or _where_it_says(cells)
    fields, problem = own_fields(cells, tuple(document), cells.get("DateTime", ""))
    if sensor is None:
        problem = "lat and lon are no place on Earth, and the list of sensors does not know its SensorId"
    elif canonical_time(cells.get("DateTime", "")) is None:
        problem = f"DateTime is no time: {cells.get('DateTime')!r}"
    elif PM25_FIELD not in fields:
        problem = "lacks pm2_5_cf_1"
    if sensor is None or problem is not None:
        context.report.bad_line(path, number, problem or "")
        return
    source = context.report.source(path, KIND, device_id(cells.get("SensorId", "")) or None)
    of_sensor = {name: text for name, text in sensor.fields.items() if text is not None}
    yield source, context.message(sensor.place, {**fields, **of_sensor})


def _where_it_says(cells: Mapping[str, str]) -> Sensor | None:
    place = even_spelling(f"{cells.get('lat', '')}, {cells.get('lon', '')}")
    location = _LOCATIONS.get(cells.get("place", ""))
    return None if place is None else Sensor(place, name=cells.get("Geo"), location_type=location)
