"""Which windows that have ended are still to be run, by what the ledger says of each."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.due import MOST_WINDOWS, due_ranges
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange
from tests.support.messages import FIRST_WINDOW

ENDED = WindowRange(FIRST_WINDOW, FIRST_WINDOW + 9 * WINDOW_LENGTH)

DONE = {
    "readings": 5,
    "scored": 5,
    "revision": 1,
    "selected": 1,
    "classified": 1,
    "health_readings": 5,
    "health_revision": 1,
    "classified_health": 1,
}
"""A window of which all is done."""


def window(number: int) -> datetime:
    return FIRST_WINDOW + number * WINDOW_LENGTH


def record(connection: DuckDBPyConnection, windows: Mapping[int, Mapping[str, Any]]) -> None:
    """Have the ledger hold ``windows`` by number, each with what differs from one of which all is done."""
    for number, others in windows.items():
        row = {"window_start": window(number), **DONE, **others}
        columns, values = ", ".join(row), ", ".join("?" * len(row))
        connection.execute(f"INSERT INTO windows ({columns}) VALUES ({values})", [*row.values()])


def due(connection: DuckDBPyConnection) -> list[tuple[int, int]]:
    """The numbers of the first and the last window of each range."""
    return [
        ((found.first - FIRST_WINDOW) // WINDOW_LENGTH, (found.last - FIRST_WINDOW) // WINDOW_LENGTH)
        for found in due_ranges(connection, ENDED)
    ]


def test_the_newest_window_and_the_one_before_are_always_run(connection: DuckDBPyConnection) -> None:
    record(connection, {number: {} for number in range(10)})
    assert due(connection) == [(8, 9)]


@pytest.mark.parametrize("last", [3, 7, 8])
def test_all_windows_behind_the_last_one_that_was_scored_are_run(connection: DuckDBPyConnection, last: int) -> None:
    record(connection, {number: {} for number in range(last + 1)})
    record(connection, {9: {"scored": None, "classified": None}})
    assert due(connection) == [(min(last + 1, 8), 9)]


@pytest.mark.parametrize(
    ("others", "lacking"),
    [
        ({"scored": None, "classified": None}, True),
        ({"readings": 0, "scored": None, "classified": None, "health_readings": None}, False),
        ({"classified": None}, True),
        ({"scored": 0, "classified": None}, True),
        ({"revision": 2}, True),
        ({"readings": 0, "scored": 0, "revision": 2, "health_readings": None}, False),
        ({"readings": 9}, False),
        ({"health_revision": 2}, True),
        ({"health_readings": None, "health_revision": None, "classified_health": None}, True),
    ],
)
def test_a_window_that_is_not_finished_is_run_with_all_behind_it(
    connection: DuckDBPyConnection, others: dict[str, Any], lacking: bool
) -> None:
    """Late readings of a scored window are none of its business: they are named, and a person decides."""
    record(connection, {number: {} for number in range(10)} | {2: others})
    assert due(connection) == [(2, 9) if lacking else (8, 9)]


def test_windows_outside_of_those_that_ended_do_not_count(connection: DuckDBPyConnection) -> None:
    record(connection, {number: {} for number in range(10)})
    record(connection, {-1: {"classified": None}, 10: {}, 11: {"classified": None}})
    assert due(connection) == [(8, 9)]


def test_without_a_store_or_without_any_window_all_are_run(connection: DuckDBPyConnection) -> None:
    assert due_ranges(None, ENDED) == [ENDED]
    assert due_ranges(connection, ENDED) == [ENDED]


def test_no_range_is_longer_than_one_run_takes(connection: DuckDBPyConnection) -> None:
    last = window(3 * MOST_WINDOWS)
    record(connection, {number: {} for number in range(3 * MOST_WINDOWS + 1)})
    connection.execute("UPDATE windows SET classified = NULL WHERE window_start = ?", [FIRST_WINDOW])
    first, newest = due_ranges(connection, WindowRange(FIRST_WINDOW, last))
    assert first == WindowRange(FIRST_WINDOW, FIRST_WINDOW)
    assert newest == WindowRange(last - WINDOW_LENGTH, last)
