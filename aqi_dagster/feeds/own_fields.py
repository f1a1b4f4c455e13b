"""What a sensor writes itself, as JSON on its network and as CSV on its card, in the fields of a message."""

from collections.abc import Mapping

from aqi_dagster.feeds.context import Context
from aqi_dagster.feeds.purpleair import minutes, sensor_columns
from aqi_dagster.feeds.sensor_list import Sensor
from aqi_dagster.feeds.times import canonical_time
from aqi_dagster.message_fields import MASSES, OPTIONAL_NUMBERS, PM25_FIELD, TIME_FIELD

Fields = dict[str, str | None]

_UPTIME = OPTIONAL_NUMBERS["uptime"]
_ATM = MASSES["pm25_atm"]


def own_fields(cells: Mapping[str, str], there: tuple[str, ...], time: str) -> tuple[Fields, str | None]:
    """The fields of a message from ``cells`` of the columns that are ``there``, and why they are none, if so."""
    fields: Fields = {field: cells.get(name) for field, name in sensor_columns(there).items()}
    uptime = fields.get(_UPTIME)
    if uptime is not None:
        fields[_UPTIME] = minutes(uptime)
    return {TIME_FIELD: canonical_time(time), **fields}, _mixed_up(fields)


def own_sensor(device: str, context: Context) -> Sensor | None:
    """The sensor with the id ``device`` in the list of sensors, if it is there."""
    return context.sensors.of_device(device) if device else None


def _mixed_up(fields: Mapping[str, str | None]) -> str | None:
    """Whether CF=1 and CF=ATM have each other's names, as in firmware of before October 2019."""
    try:
        lower = float(fields.get(PM25_FIELD) or "nan") < float(fields.get(_ATM) or "nan")
    except ValueError:
        return None
    return "PM2.5 by CF=1 is less than by CF=ATM: old firmware has their names mixed up" if lower else None
