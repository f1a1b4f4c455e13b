"""What the columns of a classic download are called, and the names under which CF=1 and CF=ATM were mixed up.

Until 20 October 2019 PurpleAir's downloads called CF=1 what is CF=ATM, and the other way round. Each download has
PM1.0, PM2.5 and PM10 by CF=1, and of CF=ATM PM2.5 alone: so what PM1.0 and PM10 are called is CF=1.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from aqi_dagster.errors import InputFileError
from aqi_dagster.feeds.times import canonical_time
from aqi_dagster.message_fields import KNOWN_FIELDS, MASSES, PM25_FIELD, TIME_FIELD

_OLD_LABEL = re.compile(r"PM(1\.0|2\.5|10\.0)_CF_(1|ATM)(?:_ug/m3)?")
_SWAPPED_UNTIL = "2019-10-20"
_FIELDS = {
    ("1.0", True): MASSES["pm1_cf1"],
    ("2.5", True): PM25_FIELD,
    ("10.0", True): MASSES["pm10_cf1"],
    ("2.5", False): MASSES["pm25_atm"],
}
"""Field for a mass of particles up to so many micrometres, by CF=1 or by CF=ATM."""


@dataclass(frozen=True)
class Labels:
    """The field that each column holds; ``old`` labels, and whether CF=1 and CF=ATM are ``swapped`` in them."""

    header: tuple[str, ...]
    columns: Mapping[str, str]
    old: bool = False
    swapped: bool = False

    def fields(self, cells: Mapping[str, str]) -> dict[str, str]:
        """The fields of a message from the ``cells`` of a row, by column."""
        return {field: cells[column] for column, field in self.columns.items()}

    def contradiction(self, cells: Mapping[str, str]) -> str | None:
        """Why the old labels of a row cannot mean what they were read as, if so."""
        if not self.old:
            return None
        fields = self.fields(cells)
        if self.swapped and (canonical_time(fields[TIME_FIELD]) or "") >= _SWAPPED_UNTIL:
            return f"its labels CF_1 and CF_ATM are those of before {_SWAPPED_UNTIL}, but the reading is later"
        try:
            lower = float(fields[PM25_FIELD]) < float(fields[MASSES["pm25_atm"]])
        except (KeyError, ValueError):
            return None
        return "PM2.5 by CF=1 is less than by CF=ATM: the labels CF_1 and CF_ATM are mixed up" if lower else None


@lru_cache(maxsize=64)
def read_labels(path: Path, header: tuple[str, ...]) -> Labels:
    """What the columns of ``header`` are; ``InputFileError`` if there is no time or no PM2.5, or if nobody can tell."""
    old = {column: match for column in header if (match := _OLD_LABEL.fullmatch(column))}
    columns = {column: column for column in header if column in KNOWN_FIELDS}
    swapped = False
    if old:
        swapped = _are_swapped(path, {match[2] for match in old.values() if match[1] != "2.5"})
        for column, match in old.items():
            field = _FIELDS.get((match[1], (match[2] == "ATM") == swapped))
            if field is not None:
                columns[column] = field
    missing = [field for field in (TIME_FIELD, PM25_FIELD) if field not in columns.values()]
    if missing:
        raise InputFileError(f"{path}, line 1: the header lacks {', '.join(missing)}")
    twice = {field for field in columns.values() if [*columns.values()].count(field) > 1}
    if twice:
        raise InputFileError(f"{path}: the header has {' and '.join(sorted(twice))} twice, under two names")
    return Labels(header, columns, bool(old), swapped)


def _are_swapped(path: Path, labels: set[str]) -> bool:
    """Whether PM1.0 and PM10, which are CF=1 in every download, are called CF=ATM."""
    if len(labels) != 1:
        raise InputFileError(
            f"{path}: until 20 October 2019 the labels CF_1 and CF_ATM were swapped, and without PM1.0 and PM10 nobody "
            "can tell whether they are here"
        )
    return labels == {"ATM"}
