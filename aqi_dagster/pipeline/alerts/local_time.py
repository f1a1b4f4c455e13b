"""The time where the sensors are, beside UTC."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

from aqi_dagster.sensors import coordinates


@dataclass(frozen=True)
class LocalTime:
    """Moments in UTC and, if a ``zone`` is known, in local time."""

    zone: ZoneInfo | None = None

    @classmethod
    def of(cls, sensors: Iterable[str], zone: str | None = None) -> "LocalTime":
        """The time in ``zone``; without one, where the first of ``sensors`` is whose text names a place.

        Borders between zones are known offline.
        """
        name = zone or next((name for name in map(_zone_name, sensors) if name), None)
        return cls(ZoneInfo(name) if name else None)

    def moment(self, moment: datetime) -> str:
        """``moment``, naive UTC.

        >>> LocalTime.of(["45.5, -122.6"]).moment(datetime(2020, 9, 8, 2))
        '2020-09-08 02:00 UTC (Mon 19:00 PDT)'
        """
        return f"{moment:%Y-%m-%d %H:%M} UTC{self._beside([moment])}"

    def short(self, moment: datetime) -> str:
        """``moment`` of a day that is known.

        >>> LocalTime.of(["45.5, -122.6"]).short(datetime(2020, 9, 8, 2))
        '02:00 UTC (19:00 PDT)'
        """
        local = self._local(moment)
        return f"{moment:%H:%M} UTC" + ("" if local is None else f" ({local:%H:%M %Z})")

    def span(self, begin: datetime, end: datetime) -> str:
        """A window.

        >>> LocalTime.of([], "America/Denver").span(datetime(2026, 1, 5), datetime(2026, 1, 5, 12))
        '2026-01-05 00:00 to 12:00 UTC (Sun 17:00 to Mon 05:00 MST)'
        """
        return f"{begin:%Y-%m-%d %H:%M} to {end:%H:%M} UTC{self._beside([begin, end])}"

    def _beside(self, moments: list[datetime]) -> str:
        local = [one for one in map(self._local, moments) if one is not None]
        if not local:
            return ""
        # The day once, unless there are two.
        texts = [
            f"{local[0]:%a %H:%M}",
            *(f"{one:%H:%M}" if one.date() == local[0].date() else f"{one:%a %H:%M}" for one in local[1:]),
        ]
        return f" ({' to '.join(texts)} {local[-1]:%Z})"

    def _local(self, moment: datetime) -> datetime | None:
        return None if self.zone is None else moment.replace(tzinfo=UTC).astimezone(self.zone)


@cache
def _zone_name(sensor: str) -> str | None:
    place = coordinates(sensor)
    if place is None:
        return None
    # The borders take a tenth of a second to be read, which most commands have no use for.
    import tzfpy

    latitude, longitude = place
    return tzfpy.get_tz(longitude, latitude) or None
