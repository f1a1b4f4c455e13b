"""What an address asks for: each function reads one part of its query, or says what it may be."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TypeVar

from flask import request

from aqi_dagster.web.shown import BadQuestionError
from aqi_dagster.windows import parse_key

Value = TypeVar("Value")

YEARS = range(1970, 2200)
"""In which windows may be asked for: the arithmetic of times ends with the calendar."""


def text(name: str) -> str | None:
    """A text; None if it is not there, or empty."""
    return request.args.get(name) or None


def required(name: str) -> str:
    """A text that must be there."""
    value = text(name)
    if value is None:
        raise BadQuestionError(f"The address lacks “{name}”: ?{name}=...")
    return value


def window(name: str) -> datetime | None:
    """The start of a window, if it is there."""
    value = text(name)
    if value is None:
        return None
    try:
        start = parse_key(value)
        if start.year in YEARS:
            return start
        raise ValueError
    except ValueError:
        raise BadQuestionError(
            f"“{name}” is “{value}”, but no window starts then: write 2026-11-22T00:00 or 2026-11-22T12:00, in UTC."
        ) from None


def required_window(name: str) -> datetime:
    """The start of a window that must be there."""
    found = window(name)
    if found is None:
        raise BadQuestionError(f"The address lacks “{name}”: ?{name}=2026-11-22T00:00")
    return found


def flag(name: str) -> bool:
    """Whether something is asked for."""
    return text(name) is not None


def choice(name: str, values: Mapping[str, Value]) -> Value | None:
    """One of ``values`` by its name, if it is there."""
    value = text(name)
    if value is None:
        return None
    if value not in values:
        raise BadQuestionError(f"“{name}” is “{value}”; it may be {' or '.join(values)}.")
    return values[value]


def natural(name: str) -> int | None:
    """A whole number from 1 on, if it is there."""
    value = text(name)
    if value is None:
        return None
    if not value.isascii() or not value.isdigit() or len(value) > 18 or int(value) < 1:
        raise BadQuestionError(f"“{name}” is “{value}”; it must be a whole number from 1 on.")
    return int(value)


def number(name: str, default: int, allowed: Collection[int]) -> int:
    """A whole number of those ``allowed``; ``default`` if it is not there."""
    value = natural(name)
    if value is None:
        return default
    if value not in allowed:
        raise BadQuestionError(f"“{name}” is {value}; it may be {', '.join(map(str, allowed))}.")
    return value


def one_of(name: str, names: Collection[str]) -> str | None:
    """One of ``names``, if it is there."""
    value = text(name)
    if value is not None and value not in names:
        raise BadQuestionError(f"“{name}” is “{value}”; it may be {', '.join(names)}.")
    return value
