"""Rows of PurpleAir's answers: where sensors are, and what they read."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from aqi_dagster.feeds.api_csv import api_fields
from aqi_dagster.feeds.api_json import LAST_SEEN
from aqi_dagster.feeds.context import Context
from aqi_dagster.feeds.purpleair import measured
from aqi_dagster.feeds.sensor_list import Sensor
from aqi_dagster.feeds.times import seconds_of
from aqi_dagster.message_fields import INDEX_FIELD, PM25_FIELD
from aqi_dagster.pipeline.decoding.definition import NUMBER
from aqi_dagster.polling.api import Table
from aqi_dagster.polling.memory import Reading
from aqi_dagster.sensors import even_spelling, identity

PLACE_FIELDS = ("name", "location_type", "latitude", "longitude")
"""What is asked for once a day."""

READING_FIELDS = (LAST_SEEN, "pm1.0_cf_1_a", "pm2.5_cf_1_a", "pm2.5_cf_1_b", "pm10.0_cf_1_a", "humidity_a")
"""What is asked for with every poll: no more than verdicts are made of."""

NO_WHOLE_ROW = "not as many values as there are fields, or no sensor_index"


@dataclass
class Found:
    """The readings of an answer; why which sensors were left out; and those whose place nobody knows yet."""

    readings: list[Reading] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    unknown: list[int] = field(default_factory=list)


def read_places(table: Table) -> tuple[dict[int, Sensor | None], int]:
    """Where the sensors of an answer are, None where it does not say; and how many rows tell of no sensor."""
    places: dict[int, Sensor | None] = {}
    whole = 0
    for index, cells in _cells(table):
        whole += 1
        place = even_spelling(f"{cells.get('latitude', '')}, {cells.get('longitude', '')}")
        # A device without a position is told to be in the sea off Africa.
        nowhere = place is None or not any(float(part) for part in place.split(","))
        places[index] = None if nowhere else Sensor(place or "", index, cells.get("name"), cells.get("location_type"))
    return places, len(table.rows) - whole


def read_readings(
    table: Table, places: Mapping[int, Sensor | None], context: Context, newest: float, indoors: bool
) -> Found:
    """What the sensors of an answer read; times later than ``newest`` (seconds since 1970) are none."""
    found = Found()
    whole = 0
    for index, cells in _cells(table):
        whole += 1
        sensor = context.sensors.by_index.get(index) or places.get(index)
        if sensor is None and index not in places:
            found.unknown.append(index)
            continue
        time = seconds_of(cells.get(LAST_SEEN, ""))
        problem = _problem(sensor, cells, time, newest, indoors)
        if problem or sensor is None or time is None:
            found.left_out[problem].append(str(index))
            continue
        fields = api_fields(cells, table.fields, sensor, LAST_SEEN) | {INDEX_FIELD: str(index)}
        text = identity(sensor.place, index)
        found.readings.append(Reading(text, time, context.message(sensor.place, fields)))
    if whole < len(table.rows):
        found.left_out[NO_WHOLE_ROW].append("rows of PurpleAir's answers")
    return found


def _problem(sensor: Sensor | None, cells: Mapping[str, str], time: int | None, newest: float, indoors: bool) -> str:
    if sensor is None:
        return "PurpleAir gives no position for it; a list of sensors (--sensors) can"
    if sensor.location_type == "1" and not indoors:
        return "it is indoors (--indoors takes it in)"
    if time is None:
        return f"its {LAST_SEEN} is no time"
    if time > newest:
        return f"its {LAST_SEEN} lies in the future"
    if not NUMBER.fullmatch(cells.get("pm2.5_cf_1_a", "")):
        return f"it has no {PM25_FIELD} of the first laser"
    return ""


def _cells(table: Table) -> Iterator[tuple[int, dict[str, str]]]:
    """The number of each sensor and what its row holds, without what says that nothing was measured."""
    for row in table.rows:
        if not isinstance(row, list) or len(row) != len(table.fields):
            continue
        texts = {name: text for name, text in zip(table.fields, row, strict=True) if isinstance(text, str)}
        cells = measured(texts)
        index = cells.get(INDEX_FIELD, "")
        if index.isascii() and index.isdigit() and len(index) <= 18:
            yield int(index), cells
