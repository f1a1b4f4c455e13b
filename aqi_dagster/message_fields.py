"""The fields of a message: which are known, what they become, and what a topic calls them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property

TIME_FIELD = "created_at"

PM25_FIELD = "PM2.5_CF1_ug/m3"

MASSES = {
    "pm1_cf1": "PM1.0_CF1_ug/m3",
    "pm10_cf1": "PM10.0_CF1_ug/m3",
    "pm25_atm": "PM2.5_ATM_ug/m3",
    "pm25_cf1_b": "PM2.5_CF1_B_ug/m3",
}
"""Column of ``readings`` to field of the message, for masses in ug/m3 that may be missing; B is the second laser."""

MOST_MASS = 100_000.0
"""ug/m3, either way: no instrument reports more. Where particles fill a room, a hundredth of it is measured."""

OPTIONAL_NUMBERS = {
    "pm1_cf1": MASSES["pm1_cf1"],
    "pm10_cf1": MASSES["pm10_cf1"],
    "pm25_atm": MASSES["pm25_atm"],
    "temperature": "Temperature_F",
    "humidity": "Humidity_%",
    "rssi": "RSSI_dbm",
    "uptime": "UptimeMinutes",
    "pm25_cf1_b": MASSES["pm25_cf1_b"],
}
"""Column of ``readings`` to field of the message, for all numbers that may be missing."""

OLD_HUMIDITY_FIELD = "Humidity"
"""What older producers call ``Humidity_%``; used where the newer one is missing."""

ENTRY_ID_FIELD = "entry_id"

INDEX_FIELD, NAME_FIELD, LOCATION_FIELD = "sensor_index", "sensor_name", "location_type"
"""What PurpleAir knows of a sensor: its number, which is part of its identity; its name; 0 outside, 1 inside."""

KNOWN_FIELDS = frozenset(
    [
        *(TIME_FIELD, PM25_FIELD, ENTRY_ID_FIELD, OLD_HUMIDITY_FIELD, *OPTIONAL_NUMBERS.values()),
        *(INDEX_FIELD, NAME_FIELD, LOCATION_FIELD),
    ]
)


@dataclass(frozen=True)
class FieldNames:
    """What the messages of a topic call the known fields: by known name the other one, for those that differ.

    Raises ``ValueError`` unless each name stands for one field.

    >>> FieldNames({"created_at": "ts"})["created_at"]
    'ts'
    """

    others: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fields: dict[str, str] = {}
        for known, other in self.others.items():
            if known not in KNOWN_FIELDS:
                raise ValueError(_no_field(known, other))
            if not other or not _is_unicode(other):
                raise ValueError(f"{other!r} cannot be what a topic calls {known}")
        for known in sorted(KNOWN_FIELDS):
            if (first := fields.setdefault(self[known], known)) != known:
                raise ValueError(f"{first} and {known} would both be read from {self[known]!r}: give one another name")

    def __getitem__(self, known: str) -> str:
        """What the topic calls the field ``known``."""
        return self.others.get(known, known)

    @cached_property
    def known(self) -> frozenset[str]:
        """What the topic calls the known fields."""
        return frozenset(self[field] for field in KNOWN_FIELDS)

    def __hash__(self) -> int:
        return hash(frozenset(self.others.items()))


OWN_NAMES = FieldNames()
"""The names that PurpleAir's downloads have."""


def _is_unicode(text: str) -> bool:
    """Whether ``text`` has no half characters, which the environment may hold and JSON may not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_field(name: str, other: str) -> str:
    """Why ``name`` cannot be called ``other``, and what may have been meant."""
    if other in KNOWN_FIELDS:
        return f"{name!r} is no field of a reading: the name that docs/feeding.md has comes first, {other}={name}"
    nearest = get_close_matches(name, KNOWN_FIELDS, 1)
    advice = f"perhaps {nearest[0]} is meant" if nearest else "docs/feeding.md lists them"
    return f"{name!r} is no field of a reading: {advice}"
