"""The arithmetic of the 12-hour windows, which Dagster's partitions and the SQL share."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqi_dagster.partitions import FIRST_WINDOW, WINDOWS
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, parse_key, utc_now, window_key, window_start
from tests.support.messages import at

MOMENTS = st.datetimes(at("1900-01-01"), at("2200-01-01"))


@given(MOMENTS)
def test_a_window_holds_its_moment_and_starts_at_midnight_or_noon(moment: datetime) -> None:
    start = window_start(moment)
    assert start <= moment < start + timedelta(hours=12)
    assert (start.hour, start.minute, start.second, start.microsecond) in [(0, 0, 0, 0), (12, 0, 0, 0)]


@pytest.mark.parametrize(
    ("moment", "start"),
    [
        (at("2022-07-18"), at("2022-07-18")),
        (at("2022-07-18 11:59:59.999999"), at("2022-07-18")),
        (at("2022-07-18 12:00"), at("2022-07-18 12:00")),
        (at("2022-07-18 23:59:59"), at("2022-07-18 12:00")),
        (at("1969-12-31 23:00"), at("1969-12-31 12:00")),
    ],
)
def test_windows_include_their_start_and_exclude_their_end(moment: datetime, start: datetime) -> None:
    assert window_start(moment) == start


@given(MOMENTS.map(window_start))
def test_a_key_names_its_window(start: datetime) -> None:
    assert parse_key(window_key(start)) == start


@pytest.mark.parametrize("key", ["2022-07-18T06:00", "2022-07-18T00:01", "2022-07-18", "2022-02-30T00:00", ""])
def test_a_key_that_names_no_window_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"no window starts at|does not match|out of range"):
        parse_key(key)


def test_a_range_includes_its_first_and_its_last_window() -> None:
    first, last = at("2022-07-18 12:00"), at("2022-07-20")
    windows = WindowRange(first, last)
    assert list(windows) == [first, at("2022-07-19"), at("2022-07-19 12:00"), last]
    assert WindowRange.of(list(windows)) == WindowRange.of_keys("2022-07-18T12:00", "2022-07-20T00:00") == windows
    assert (len(windows), windows.end) == (4, at("2022-07-20 12:00"))
    assert list(WindowRange(first, first)) == [first]
    inside = [first, last, first - WINDOW_LENGTH, last + WINDOW_LENGTH, first + timedelta(hours=1)]
    assert [start in windows for start in inside] == [True, True, False, False, False]


def test_what_is_no_range_is_refused() -> None:
    first, last = at("2022-07-18 12:00"), at("2022-07-20")
    with pytest.raises(ValueError, match="before it begins"):
        WindowRange(last, first)
    with pytest.raises(ValueError, match="no window starts at 2022-07-18 13:00:00"):
        WindowRange(first + timedelta(hours=1), last)


def test_dagsters_partitions_are_these_windows() -> None:
    newest = FIRST_WINDOW + 9 * WINDOW_LENGTH
    keys = [window_key(start) for start in WindowRange(FIRST_WINDOW, newest)]
    ended, under_way = newest + WINDOW_LENGTH, timedelta(minutes=1)
    assert WINDOWS.get_partition_keys(ended.replace(tzinfo=UTC)) == keys
    assert WINDOWS.get_partition_keys((ended - under_way).replace(tzinfo=UTC)) == keys[:-1]


def test_now_is_utc_without_time_zone() -> None:
    assert utc_now().tzinfo is None
    assert abs(utc_now() - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=1)
