"""Which windows' health is outdated, and whether the range that is named for it mends it."""

from datetime import datetime, timedelta

import pytest

from aqi_dagster.errors import UnjudgedWindowsError
from aqi_dagster.pipeline.store.due import due_ranges
from aqi_dagster.pipeline.store.outdated import OutdatedHealth, outdated_health
from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.pipeline.verdicts.judge_windows import judge_windows
from aqi_dagster.windows import WindowRange
from tests.support.health import everywhere, report, window_at
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
    for number in range(COUNT):
        report(connection, number, {"45.1, -122": 5, "45.2, -122": 6, "45.3, -122": 7})
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


def test_what_lies_before_a_later_first_window_is_named_until_that_drops_it(history: Writer) -> None:
    judge(history, ENDED.first, LAST)
    later = window_at(COUNT + 50)
    assert outdated_health(history, later, "regions") == OutdatedHealth(0, 0, COUNT, WindowRange(later, later))
    judge_windows(history, WindowRange(later, later), later, everywhere, "regions")
    assert health(history) == []
    assert outdated_health(history, later, "regions") == UP_TO_DATE
