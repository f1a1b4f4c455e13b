"""What PurpleAir's API and its sensors call the fields of a message."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from aqi_dagster.message_fields import INDEX_FIELD, LOCATION_FIELD, MASSES, NAME_FIELD, OPTIONAL_NUMBERS, PM25_FIELD
from aqi_dagster.pipeline.decoding.definition import NUMBER

SECOND_LASER = MASSES["pm25_cf1_b"]

API_FIELDS = {
    PM25_FIELD: ("pm2.5_cf_1_a", "pm2.5_cf_1"),
    SECOND_LASER: ("pm2.5_cf_1_b",),
    MASSES["pm1_cf1"]: ("pm1.0_cf_1_a", "pm1.0_cf_1"),
    MASSES["pm10_cf1"]: ("pm10.0_cf_1_a", "pm10.0_cf_1"),
    MASSES["pm25_atm"]: ("pm2.5_atm_a", "pm2.5_atm"),
    OPTIONAL_NUMBERS["temperature"]: ("temperature", "temperature_a"),
    OPTIONAL_NUMBERS["humidity"]: ("humidity", "humidity_a"),
    OPTIONAL_NUMBERS["rssi"]: ("rssi",),
    OPTIONAL_NUMBERS["uptime"]: ("uptime",),
    INDEX_FIELD: (INDEX_FIELD,),
    NAME_FIELD: ("name",),
    LOCATION_FIELD: (LOCATION_FIELD,),
}
"""Field of a message to what the API has for it, the best first; without ``_a`` or ``_b`` the mean of both lasers.

Only a file that has no column for the first laser alone is read by that mean: where the first laser gave nothing, the
mean is the second one's, and no reading of the first.
"""

SENSOR_FIELDS = {
    PM25_FIELD: ("pm2_5_cf_1",),
    SECOND_LASER: ("pm2_5_cf_1_b",),
    MASSES["pm1_cf1"]: ("pm1_0_cf_1",),
    MASSES["pm10_cf1"]: ("pm10_0_cf_1",),
    MASSES["pm25_atm"]: ("pm2_5_atm",),
    OPTIONAL_NUMBERS["temperature"]: ("current_temp_f", "current_temp_f_680"),
    OPTIONAL_NUMBERS["humidity"]: ("current_humidity", "current_humidity_680"),
    OPTIONAL_NUMBERS["rssi"]: ("rssi",),
    OPTIONAL_NUMBERS["uptime"]: ("uptime",),
}
"""Field of a message to what a sensor's own files have for it; there ``uptime`` is in seconds."""

NOTHING = ("", "nan", "null")
"""What is written where nothing was measured."""


@lru_cache(maxsize=256)
def api_columns(there: tuple[str, ...]) -> dict[str, str]:
    """Field of a message to the one of PurpleAir's API that it is taken from, for those that are ``there``."""
    return _choose(API_FIELDS, there)


@lru_cache(maxsize=256)
def sensor_columns(there: tuple[str, ...]) -> dict[str, str]:
    """Field of a message to the one of a sensor's own file that it is taken from, for those that are ``there``."""
    return _choose(SENSOR_FIELDS, there)


def _choose(fields: Mapping[str, tuple[str, ...]], there: Iterable[str]) -> dict[str, str]:
    return {
        field: next(name for name in names if name in there)
        for field, names in fields.items()
        if not set(names).isdisjoint(there)
    }


def measured(cells: Mapping[str, str]) -> dict[str, str]:
    """``cells`` without those that say that nothing was measured."""
    return {name: text for name, text in cells.items() if text.strip().lower() not in NOTHING}


def minutes(seconds: str) -> str:
    """Seconds in minutes; what is no number stays as it is, and is none in the topic either."""
    return f"{float(seconds) / 60:.2f}" if NUMBER.fullmatch(seconds.strip()) else seconds
