"""Labels: what somebody knows to be true of a window, beside what the rules said. This module alone writes ``labels``.

A label says whether there was smoke in a region and window, or whether a sensor was broken in one. It also keeps what
was judged when it was made, so that it can be told when that changes; the truth it tells stays.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Literal

import pyarrow as pa
from duckdb import DuckDBPyConnection

from aqi_dagster.errors import LabelError
from aqi_dagster.pipeline.store.sql import Writer, registered, transaction
from aqi_dagster.windows import WindowRange, window_key

TruthName = Literal["smoke", "no smoke", "broken", "fine"]

OF_REGIONS: dict[str, TruthName | None] = {
    "smoke": "smoke",
    "nothing": "no smoke",
    "malfunction": "no smoke",
    "undecided": None,
}
"""What each verdict says of the air; None where it leaves that open."""

OPPOSITES: dict[TruthName, TruthName] = {
    "smoke": "no smoke",
    "no smoke": "smoke",
    "broken": "fine",
    "fine": "broken",
}

_SUBJECTS = pa.schema([("window_start", pa.timestamp("us")), ("region", pa.string()), ("sensor", pa.string())])

_JUDGED = """
SELECT
    subjects.window_start,
    subjects.region,
    subjects.sensor,
    CASE
        WHEN subjects.region IS NOT NULL THEN
            CASE WHEN windows.classified IS NOT NULL THEN coalesce(regional_windows.verdict, 'nothing') END
        WHEN sensor_health.sensor IS NULL THEN NULL
        WHEN sensor_health.region IS NULL THEN 'not judged'
        WHEN sensor_health.fault IS NOT NULL THEN sensor_health.fault
        WHEN sensor_health.unlike_neighbours THEN 'unlike neighbours'
        ELSE 'no fault'
    END
FROM subjects
LEFT JOIN windows ON windows.window_start = subjects.window_start
LEFT JOIN regional_windows
    ON regional_windows.region = subjects.region AND regional_windows.window_start = subjects.window_start
LEFT JOIN sensor_health
    ON sensor_health.sensor = subjects.sensor AND sensor_health.window_start = subjects.window_start
ORDER BY ALL
"""

_REGIONS = """
SELECT region FROM regional_windows
UNION
SELECT region FROM sensor_health WHERE region IS NOT NULL
ORDER BY region
"""


@dataclass(frozen=True, order=True)
class Subject:
    """What a label is about: a window (start), and either a region or a sensor in it; the other one is empty."""

    window_start: datetime
    region: str = ""
    sensor: str = ""

    def __str__(self) -> str:
        return f"{self.region or self.sensor}, {window_key(self.window_start)}"


@dataclass(frozen=True)
class Label:
    """The ``truth`` about a subject, and what was ``judged`` of it when it was labelled (naive UTC)."""

    subject: Subject
    truth: TruthName
    judged: str
    note: str | None
    labelled_at: datetime

    @property
    def mark(self) -> str:
        """Whether what was judged is right or wrong; empty if it left the matter open."""
        said = said_by(self.subject, self.judged)
        return "" if said is None else "right" if said == self.truth else "wrong"


_COLUMNS = [*(field.name for field in fields(Subject)), "truth", "judged", "note", "labelled_at"]

_INSERT = f"""
INSERT INTO labels BY NAME
SELECT {", ".join(f"${name} AS {name}" for name in _COLUMNS)}
"""

_DELETE = """
DELETE FROM labels
WHERE
    window_start = $window_start
    AND region IS NOT DISTINCT FROM $region
    AND sensor IS NOT DISTINCT FROM $sensor
"""


def said_by(subject: Subject, judged: str) -> TruthName | None:
    """What is true of ``subject`` if what was ``judged`` is right; None if that leaves it open."""
    if subject.region:
        return OF_REGIONS[judged]
    if judged == "not judged":
        return None
    return "fine" if judged == "no fault" else "broken"


def region_in(connection: DuckDBPyConnection, region: str, window: datetime) -> list[Subject]:
    """The region in the ``window`` (start) as a subject; :class:`LabelError` if no such region was ever judged."""
    known = [name for (name,) in connection.execute(_REGIONS).fetchall()]
    if region not in known:
        raise LabelError(f"There is no region {region!r} in the store; it has {', '.join(known) or 'none'}.")
    return [Subject(window, region=region)]


def sensor_in(connection: DuckDBPyConnection, sensor: str, windows: WindowRange) -> list[Subject]:
    """The ``sensor`` in each of ``windows`` as subjects; :class:`LabelError` if the store does not know it."""
    if not connection.execute("SELECT 1 FROM sensors WHERE sensor = ?", [sensor]).fetchall():
        raise LabelError(f"There is no sensor {sensor!r} in the store; the table sensors has all of them.")
    return [Subject(start, sensor=sensor) for start in windows]


def judged_of(connection: DuckDBPyConnection, subjects: Iterable[Subject]) -> dict[Subject, str]:
    """What is judged of each of ``subjects``, in order; those of which nothing is stored are left out.

    Of a region it is the verdict, or ``nothing``; of a sensor its fault, ``unlike neighbours``, ``no fault``, or ``not
    judged``.
    """
    rows = [
        {"window_start": one.window_start, "region": one.region or None, "sensor": one.sensor or None}
        for one in subjects
    ]
    with registered(connection, "subjects", pa.Table.from_pylist(rows, _SUBJECTS)):
        found = connection.execute(_JUDGED).fetchall()
    return {
        Subject(start, region or "", sensor or ""): judged
        for start, region, sensor, judged in found
        if judged is not None
    }


def read_labels(connection: DuckDBPyConnection) -> list[Label]:
    """All labels, in order of time."""
    rows = connection.execute(f"SELECT {', '.join(_COLUMNS)} FROM labels ORDER BY ALL").fetchall()  # noqa: S608
    return [Label(Subject(start, region or "", sensor or ""), *row) for start, region, sensor, *row in rows]


def store_labels(writer: Writer, labels: Sequence[Label]) -> None:
    """Store ``labels``, each in the place of an earlier one of its subject."""
    with transaction(writer):
        for label in labels:
            _delete(writer, label.subject)
            row = {**_subject_row(label.subject), **{name: getattr(label, name) for name in _COLUMNS[3:]}}
            writer.execute(_INSERT, row)


def remove_labels(writer: Writer, subjects: Sequence[Subject]) -> None:
    """Remove the labels of ``subjects``, where there are any."""
    with transaction(writer):
        for subject in subjects:
            _delete(writer, subject)


def _delete(writer: Writer, subject: Subject) -> None:
    writer.execute(_DELETE, _subject_row(subject))


def _subject_row(subject: Subject) -> dict[str, datetime | str | None]:
    return {
        "window_start": subject.window_start,
        "region": subject.region or None,
        "sensor": subject.sensor or None,
    }
