"""Sensors that are not to be believed: stuck for hours, or beyond what can be measured."""

from datetime import timedelta

import pytest
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.verdicts.implausible import implausible_sensors
from aqi_dagster.windows import WINDOW_LENGTH
from tests.support.messages import at, message, take_in


@pytest.mark.parametrize(
    ("minutes", "values", "found"),
    [
        ([0, 359], [3, 3], []),
        ([0, 360], [3, 3], [(False, 3.0, 0, 360)]),
        ([0, 180, 360], [3, 4, 3], []),
        ([0, 180, 360, 720 - 1], [0, 0, 0, 5], [(False, 0.0, 0, 360)]),
        ([0, 119], [2001, 2500], []),
        ([0, 60, 120], [2001, 2500, -1], [(True, 2001.0, 0, 120)]),
        ([0, 60, 120], [2001, 2000, -1], []),
        ([0, 60, 120, 180, 400], [5, -3, -3, -4, 5], [(True, -3.0, 60, 180)]),
    ],
)
def test_only_hours_of_the_same_or_of_the_impossible_count(
    connection: DuckDBPyConnection,
    minutes: list[int],
    values: list[float],
    found: list[tuple[bool, float, int, int]],
) -> None:
    start = at("2022-08-01")
    take_in(
        connection,
        [message("45.1, -122", start + timedelta(minutes=m), v) for m, v in zip(minutes, values, strict=True)],
    )
    stretches = implausible_sensors(connection, [start])
    assert [
        (
            one.impossible,
            one.pm25,
            (one.first - start) // timedelta(minutes=1),
            (one.last - start) // timedelta(minutes=1),
        )
        for one in stretches
    ] == found
    assert implausible_sensors(connection, [start + WINDOW_LENGTH]) == []
