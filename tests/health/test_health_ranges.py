"""Which windows' health is outdated, and whether the range that is named for it mends it."""

from datetime import datetime, timedelta

import pytest

from aqi_dagster.errors import UnjudgedWindowsError
from aqi_dagster.pipeline.health.judge_windows import judge_windows
from aqi_dagster.pipeline.health.sensors_to_judge import all_outdated_health, regions_hash, sensors_to_judge
from aqi_dagster.pipeline.regions.base import CountyRegions, OneRegion, Regions
from aqi_dagster.pipeline.store.due import due_ranges
from aqi_dagster.pipeline.store.outdated import OutdatedHealth, outdated_health
from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.windows import WindowRange
from tests.support.health import REGION_NAME, everywhere, report, report_steadily, window_at
from tests.support.messages import FIRST_WINDOW
from tests.support.tables import rows

COUNT = 60
LAST = window_at(COUNT - 1)
ENDED = WindowRange(FIRST_WINDOW, LAST)
THREE_WEEKS = timedelta(days=21)
UP_TO_DATE = OutdatedHealth(0, 0, 0, None)


@pytest.fixture
def history(connection: Writer) -> Writer:
    """Windows that an older release scored and classified, without any health."""
    report_steadily(connection, COUNT, {"45.1, -122": 5, "45.2, -122": 6, "45.3, -122": 7})
    connection.execute("UPDATE windows SET scored = readings, revision = 1, selected = 1, classified = 1")
    return connection


def judge(connection: Writer, first: datetime, last: datetime, hash_of_regions: str = "regions") -> None:
    judge_windows(connection, WindowRange(first, last), FIRST_WINDOW, everywhere, hash_of_regions)


def finish(connection: Writer) -> None:
    """Have verdicts follow from what was judged."""
    connection.execute("UPDATE windows SET classified_health = health_revision")


def outdated(connection: Writer) -> OutdatedHealth:
    return outdated_health(connection, FIRST_WINDOW, "regions")


def health(connection: Writer, first: datetime = FIRST_WINDOW) -> list[tuple[object, ...]]:
    return rows(connection, f"FROM sensor_health WHERE window_start >= '{first}' ORDER BY window_start, sensor")


def test_the_tick_judges_the_last_21_days_of_an_older_store(history: Writer) -> None:
    (due,) = due_ranges(history, ENDED)
    assert due == WindowRange(LAST - THREE_WEEKS, LAST)
    judge(history, due.first, due.last)
    finish(history)
    assert due_ranges(history, ENDED) == [WindowRange(window_at(COUNT - 2), LAST)]
    newest = health(history, LAST)
    assert outdated(history) == OutdatedHealth(COUNT - 1, 0, 0, ENDED)
    judge(history, *(ENDED.first, ENDED.last))
    assert outdated(history) == UP_TO_DATE
    assert health(history, LAST) == newest


def test_the_tick_goes_back_21_days_where_a_newer_range_has_no_history(history: Writer) -> None:
    """The window three weeks ago holds no readings, so the first one that was never judged comes later."""
    history.execute("DELETE FROM windows WHERE window_start BETWEEN ? AND ?", [LAST - THREE_WEEKS, window_at(18)])
    (due,) = due_ranges(history, ENDED)
    assert due == WindowRange(LAST - THREE_WEEKS, LAST)
    judge(history, due.first, due.last)


def test_a_window_without_history_is_an_error_that_names_a_range_which_works(history: Writer) -> None:
    with pytest.raises(UnjudgedWindowsError) as raised:
        judge(history, LAST, LAST)
    assert raised.value.windows == WindowRange(LAST - THREE_WEEKS, LAST)
    assert rows(history, "SELECT count(*) FROM sensor_health") == [(0,)]
    judge(history, raised.value.windows.first, raised.value.windows.last)
    judge(history, LAST, LAST)


def test_what_was_judged_without_history_is_outdated_also_after_it_was_judged_once_more(history: Writer) -> None:
    """Judging half of it again finds windows behind it that were judged, but these began without any."""
    begin, again = window_at(10), window_at(40)
    judge(history, begin, LAST)
    before = outdated(history)
    judge(history, again, LAST)
    assert outdated(history) == before == OutdatedHealth(10 + 42, 0, 0, ENDED)


def test_a_late_reading_makes_21_days_stale_and_the_range_named_mends_them(history: Writer) -> None:
    judge(history, ENDED.first, ENDED.last)
    finish(history)
    assert outdated(history) == UP_TO_DATE
    report(history, 5, {"45.4, -122": 8})
    assert outdated(history) == OutdatedHealth(0, 1, 0, WindowRange(window_at(5), LAST))
    judge(history, window_at(5), window_at(5))
    assert outdated(history) == OutdatedHealth(0, 42, 0, WindowRange(window_at(6), LAST))
    # Its verdicts follow from what was judged before: that the tick mends.
    assert due_ranges(history, ENDED) == [WindowRange(window_at(5), LAST)]
    judge(history, window_at(6), LAST)
    assert outdated(history) == UP_TO_DATE
    in_two_runs = health(history)
    judge(history, ENDED.first, ENDED.last)
    assert health(history) == in_two_runs


def test_other_regions_are_named(history: Writer) -> None:
    judge(history, ENDED.first, ENDED.last, "other regions")
    assert outdated(history) == OutdatedHealth(0, 0, COUNT, ENDED)


def test_windows_that_were_scored_but_never_judged_are_named(history: Writer) -> None:
    """As a backfill of scores and verdicts alone leaves them, or an older release."""
    assert outdated(history) == OutdatedHealth(COUNT, 0, 0, ENDED)
    judge(history, ENDED.first, window_at(COUNT - 3))
    assert outdated(history) == OutdatedHealth(2, 0, 0, WindowRange(window_at(COUNT - 2), LAST))


@pytest.mark.parametrize("since", [0, 30])
def test_a_region_that_becomes_known_later_is_named_from_the_sensors_first_window_on(
    history: Writer, since: int
) -> None:
    """Its county was looked up after its windows were judged, so its neighbours were judged without it."""
    late, first = "45.3, -122", window_at(since)
    history.execute("DELETE FROM readings WHERE sensor = ? AND window_start < ?", [late, first])
    history.execute(
        "UPDATE windows SET readings = (FROM readings SELECT count(*) WHERE readings.window_start = "
        "windows.window_start)"
    )
    looked_up: dict[str, str | None] = {"45.1, -122": "a", "45.2, -122": "a"}
    before, now = (CountyRegions(counties, "b", "m") for counties in (looked_up, looked_up | {late: "a"}))
    judge_in(history, before)
    finish(history)
    assert all_outdated_health(history, FIRST_WINDOW, before) == UP_TO_DATE
    found = all_outdated_health(history, FIRST_WINDOW, now)
    assert found == OutdatedHealth(0, 0, 0, WindowRange(first, LAST), moved_sensors=1)
    judge_in(history, now, first)
    assert all_outdated_health(history, FIRST_WINDOW, now) == UP_TO_DATE
    # Verdicts follow from what was judged before: that the tick mends.
    assert due_ranges(history, ENDED) == [WindowRange(first, LAST)]


def test_a_sensor_that_says_later_that_it_is_inside_is_named(history: Writer) -> None:
    regions = OneRegion(REGION_NAME)
    judge_in(history, regions)
    history.execute("UPDATE sensors SET location_type = 1 WHERE sensor = '45.2, -122'")
    assert all_outdated_health(history, FIRST_WINDOW, regions) == OutdatedHealth(0, 0, 0, ENDED, moved_sensors=1)
    judge_in(history, regions)
    assert all_outdated_health(history, FIRST_WINDOW, regions) == UP_TO_DATE
    assert rows(history, "SELECT DISTINCT sensor FROM sensor_health WHERE region IS NULL") == [("45.2, -122",)]


def test_a_device_under_two_texts_of_which_one_is_judged_has_not_moved(history: Writer) -> None:
    others = ["45.1, -122 #7", "45.1, -122 #8", "45.10, -122.0"]
    report(history, 30, {"45.10, -122.0": 5})
    for number, index in [(31, "7"), (32, "8")]:
        report(history, number, {"45.1, -122": 5}, sensor_index=index)
    regions = OneRegion(REGION_NAME)
    judge_in(history, regions)
    query = "SELECT sensor FROM sensor_health WHERE region IS NULL ORDER BY sensor"
    assert rows(history, query) == [(sensor,) for sensor in others]
    assert all_outdated_health(history, FIRST_WINDOW, regions) == UP_TO_DATE


def test_health_before_a_first_window_that_moved_is_named_and_dropped_by_running_it(history: Writer) -> None:
    judge(history, ENDED.first, ENDED.last)
    moved = window_at(50)
    found = outdated_health(history, moved, "regions")
    assert found == OutdatedHealth(10, 0, 50, WindowRange(moved, LAST))
    assert found.windows is not None
    judge_windows(history, found.windows, moved, everywhere, "regions")
    assert outdated_health(history, moved, "regions") == UP_TO_DATE
    assert health(history) == health(history, moved) != []


def judge_in(connection: Writer, regions: Regions, first: datetime = FIRST_WINDOW) -> None:
    """Judge all windows from ``first`` on in ``regions``."""
    sensors = sensors_to_judge(connection, regions)
    judge_windows(connection, WindowRange(first, LAST), FIRST_WINDOW, sensors, regions_hash(regions))


def test_a_device_under_two_texts_is_no_sensor_that_moved(history: Writer) -> None:
    """One of its texts is judged for both; when the other one's county is known, too, that may be the other one."""
    again = "45.10, -122"
    for number in (0, 1):
        report(history, number, {again: 6})
    history.execute("DELETE FROM readings WHERE sensor = '45.1, -122' AND hour(created_at) % 12 > 8")
    history.execute(
        "UPDATE windows SET readings = (FROM readings SELECT count(*) WHERE readings.window_start = "
        "windows.window_start)"
    )
    looked_up: dict[str, str | None] = dict.fromkeys(["45.1, -122", "45.2, -122", "45.3, -122"], "a")
    before, now = (CountyRegions(counties, "b", "m") for counties in (looked_up, looked_up | {again: "a"}))
    judge_in(history, before)
    assert all_outdated_health(history, FIRST_WINDOW, before) == UP_TO_DATE
    assert all_outdated_health(history, FIRST_WINDOW, now) == OutdatedHealth(0, 0, 0, ENDED, moved_sensors=2)
    judge_in(history, now)
    assert all_outdated_health(history, FIRST_WINDOW, now) == UP_TO_DATE
