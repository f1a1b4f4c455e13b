"""What a page shows, in one form for people and for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from duckdb import DuckDBPyConnection

from aqi_dagster.web.places import Places
from aqi_dagster.web.times import Times

Row = dict[str, Any]


class UnknownThingError(Exception):
    """A page was asked for something that the copy does not hold; the message says what."""


class BadQuestionError(Exception):
    """An address asks for something that cannot be; the message says what it may ask."""


@dataclass(frozen=True)
class Look:
    """What a page is made with: the open copy, how places and times are shown, and when the newest reading is of."""

    connection: DuckDBPyConnection
    places: Places
    times: Times
    newest: datetime | None
    rules: str
    dagster_url: str | None = None

    def rows(self, query: str, **parameters: Any) -> list[Row]:
        """The rows of ``query`` as dictionaries."""
        cursor = self.connection.execute(query, parameters)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@dataclass(frozen=True)
class Shown:
    """What one page shows.

    Attributes
    ----------
    title
        Of the page.
    facts
        Single values, which JSON has by name.
    tables
        Rows by the name of the table; the first is what CSV has if none is named.
    figures
        Plotly's figures by the name of the place where they stand.
    context
        What else the template needs, and JSON has not.
    """

    title: str
    facts: Mapping[str, Any]
    tables: Mapping[str, Sequence[Row]]
    figures: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
