"""What operators know of a sensor: broken until a date, excluded, or repaired. This alone writes ``known_trouble``.

A record holds from the window ``since`` on, until a later one of the same sensor takes its place.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, Self

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.health.history import REMEMBERED
from aqi_dagster.pipeline.store.sql import Writer, transaction

Kind = Literal["broken", "excluded", "repaired"]

_RECORDS = """
SELECT sensor, kind, since, until, reason, recorded_at
FROM known_trouble
ORDER BY since, rowid
"""


@dataclass(frozen=True)
class Record:
    """What holds of ``sensor`` from the window ``since`` (start) on, of a broken one up to ``until`` (naive UTC)."""

    sensor: str
    kind: Kind
    since: datetime
    until: datetime | None
    reason: str
    recorded_at: datetime

    def __str__(self) -> str:
        until = f" until {self.until:%Y-%m-%d %H:%M}" if self.until else ""
        return f"{self.kind}{until}: {self.reason}"


@dataclass(frozen=True)
class Known:
    """What is known of a sensor in one window: the ``text`` of a record that holds, and when it was repaired lately.

    ``repaired_at`` is the start of the window from which on its history counts, if that matters in this window.
    """

    text: str | None = None
    repaired_at: datetime | None = None
    is_broken: bool = False
    is_excluded: bool = False


NOTHING = Known()


@dataclass(frozen=True)
class KnownTrouble:
    """The records of all sensors, by sensor and in the order in which they hold."""

    records: Mapping[str, Sequence[Record]] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[Record]) -> Self:
        """From ``records`` in the order of ``since``, and of two with the same in which they were made."""
        by_sensor: dict[str, list[Record]] = defaultdict(list)
        for record in records:
            by_sensor[record.sensor].append(record)
        return cls(by_sensor)

    def at(self, sensor: str, window: datetime) -> Known:
        """What is known of ``sensor`` in the ``window`` (start)."""
        records = [record for record in self.records.get(sensor, ()) if record.since <= window]
        if not records:
            return NOTHING
        last = records[-1]
        repaired = [record.since for record in records if record.kind == "repaired"]
        # Later windows look back to nothing before the repair anyway.
        matters = bool(repaired) and window - repaired[-1] < REMEMBERED
        is_broken = last.kind == "broken" and last.until is not None and window < last.until
        is_excluded = last.kind == "excluded"
        return Known(
            text=str(last) if is_broken or is_excluded else None,
            repaired_at=repaired[-1] if matters else None,
            is_broken=is_broken,
            is_excluded=is_excluded,
        )

    def shifted(self, by: timedelta) -> "KnownTrouble":
        """The same records as if all of them held so much later, in words as they are."""
        return KnownTrouble(
            {
                sensor: [
                    replace(one, since=one.since + by, until=None if one.until is None else one.until + by)
                    for one in records
                ]
                for sensor, records in self.records.items()
            }
        )


NO_TROUBLE = KnownTrouble()


def read_trouble(connection: DuckDBPyConnection) -> KnownTrouble:
    """All that operators recorded."""
    return KnownTrouble.of(Record(*row) for row in connection.execute(_RECORDS).fetchall())


def record_trouble(writer: Writer, record: Record) -> None:
    """Add a ``record``."""
    writer.execute(
        """
        INSERT INTO known_trouble BY NAME
        SELECT ? AS sensor, ? AS kind, ? AS since, ? AS until, ? AS reason, ? AS recorded_at
        """,
        list(astuple(record)),
    )


def forget_last(writer: Writer, sensor: str) -> int:
    """Remove the record of ``sensor`` that was made last; returns how many were removed."""
    with transaction(writer):
        removed = writer.execute(
            "DELETE FROM known_trouble WHERE sensor = $sensor "
            "AND rowid = (SELECT max(rowid) FROM known_trouble WHERE sensor = $sensor) RETURNING 1",
            {"sensor": sensor},
        ).fetchall()
    return len(removed)
