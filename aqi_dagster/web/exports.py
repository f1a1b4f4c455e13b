"""What a page shows, as JSON and as CSV."""

import csv
import io
import json
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from aqi_dagster.web.shown import BadQuestionError, Shown

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What spreadsheets take for the beginning of a formula."""


def as_json(shown: Shown, copy: str, published_at: datetime) -> str:
    """Everything that the page shows; times are in UTC, levels in ug/m3."""
    told = {"title": shown.title, "copy": copy, "published_at": published_at, **shown.facts, **shown.tables}
    return json.dumps(_plain(told), ensure_ascii=False, allow_nan=False)


def as_csv(shown: Shown, table: str | None) -> str:
    """One table of the page, the first if none is named; :class:`BadQuestionError` if it has no such table."""
    if table is None:
        table = next(iter(shown.tables))
    if table not in shown.tables:
        raise BadQuestionError(f"This page has no table “{table}”; it has {', '.join(shown.tables)}.")
    rows = shown.tables[table]
    text = io.StringIO()
    writer = csv.writer(text)
    if rows:
        writer.writerow(rows[0])
        writer.writerows([_cell(value) for value in row.values()] for row in rows)
    return text.getvalue()


def embedded(figure: Any) -> str:
    """A figure as JSON that may stand in an HTML page: nothing in it can end the element."""
    text = json.dumps(_plain(figure), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds") + "Z"
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return value


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds") + "Z"
    # A name that begins like a formula is text; so is a place in the south.
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
